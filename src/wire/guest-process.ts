import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import type { Readable, Writable } from 'node:stream';
import { CaissonError } from '../kernel/errors.ts';
import {
  execExitSchema,
  execHeader,
  type ExecRequest,
  type ExecResult,
  exitTrailer,
  guestPaths,
  stderrTrailer,
} from './contract/guest-api.ts';
import { decodeHeaderJson, encodeHeaderJson } from './header-json.ts';
import { brokenStream, openStream, refusalOf, responseStatus } from './requests.ts';

/** A process in the sandbox. Destroying either stream kills it, with its process group. */
export interface GuestProcess {
  /** Its input; end it where the process waits for that. Refuses writes after the process has ended. */
  readonly stdin: Writable;
  /** Its output, byte for byte. Must be read, or resumed, for the process to get on and for `result` to settle. */
  readonly stdout: Readable;
  /** Rejects with WIRE_LOST, or the signal's reason, when the outcome was not heard. */
  readonly result: Promise<ExecResult>;
}

/** Starts a process. Rejects with BAD_REQUEST when there is no such program or directory. */
export async function startProcess(
  session: ClientHttp2Session,
  request: ExecRequest,
  signal?: AbortSignal,
): Promise<GuestProcess> {
  const stream = openStream(session, {
    headers: { ':method': 'POST', ':path': guestPaths.exec, [execHeader]: encodeHeaderJson(request) },
    signal,
    endStream: false,
  });
  const result = resultOf(stream, signal);
  result.catch(() => undefined); // its reader may come late, or never
  const status = await responseStatus(stream, signal);
  if (status !== 200) {
    stream.end();
    throw await refusalOf(stream, status, signal);
  }
  return { stdin: stream, stdout: stream, result };
}

function resultOf(stream: ClientHttp2Stream, signal: AbortSignal | undefined): Promise<ExecResult> {
  return new Promise((resolve, reject) => {
    stream.once('close', () => reject(brokenStream(stream, signal)));
    stream.once('trailers', (trailers) => {
      const exit = execExitSchema.safeParse(decodeHeaderJson(trailers[exitTrailer]));
      if (!exit.success) {
        reject(new CaissonError('GUEST_PROTOCOL', 'The guest did not say how the process ended.'));
        return;
      }
      const stderr = Buffer.from(String(trailers[stderrTrailer] ?? ''), 'base64url').toString();
      resolve({ ...exit.data, stderr });
      stream.end(); // nobody is left to read the input
    });
  });
}
