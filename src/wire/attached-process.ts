import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { Writable } from 'node:stream';
import { CaissonError } from '../kernel/errors.ts';
import {
  attachHeader,
  type AttachRequest,
  exitSchema,
  type ProcessExit,
  processHeader,
  type ProcessInfo,
  processInfoSchema,
  processPaths,
} from './contract/processes.ts';
import { decodeHeaderJson, encodeHeaderJson } from './header-json.ts';
import { OutputFrameReader, type OutputPiece } from './output-frames.ts';
import { brokenStream, leaveStream, openStream, refusalOf, responseStatus } from './requests.ts';
import { streamChunks } from './stream-chunks.ts';

/** A process in the sandbox whose input and output are streams: it waits for whoever reads it, and nothing is lost. */
export interface AttachedProcess {
  readonly info: ProcessInfo;
  /**
   * Its input; end it where the process waits for that. What is written after the end of the process fails with
   * PROCESS_ENDED, of which nobody has to hear, and costs no output.
   */
  readonly stdin: Writable;
  /**
   * Its output, byte for byte, as it came: read it once, for the process to get on and for `exit` to settle. Leaving the
   * loop early kills the process, with its group.
   */
  readonly output: AsyncIterable<readonly OutputPiece[]>;
  /** Rejects with WIRE_LOST, or the signal's reason, when the outcome was not heard. */
  readonly exit: Promise<ProcessExit>;
}

/** Starts a process; `signal` kills it. Rejects with PROCESS_NOT_STARTED when it cannot be run. */
export async function attachProcess(
  session: ClientHttp2Session,
  request: AttachRequest,
  signal?: AbortSignal,
): Promise<AttachedProcess> {
  const stream = openStream(session, {
    headers: { ':method': 'POST', ':path': processPaths.attach, [attachHeader]: encodeHeaderJson(request) },
    use: 'wait',
    signal,
    endStream: false,
  });
  const head = new Promise<ProcessInfo | undefined>((resolve) => {
    stream.once('response', (headers) => {
      resolve(processInfoSchema.safeParse(decodeHeaderJson(headers[processHeader])).data);
    });
  });
  const exit = exitOf(stream, signal);
  exit.catch(() => undefined); // its reader may come late, or never
  const status = await responseStatus(stream, signal);
  if (status !== 200) {
    stream.end();
    throw await refusalOf(stream, status, signal);
  }
  const info = await head;
  if (info === undefined) {
    leaveStream(stream);
    throw new CaissonError('GUEST_PROTOCOL', 'The guest did not say which process it started.');
  }
  return { info, stdin: inputOf(stream), output: outputOf(stream, signal), exit };
}

/** A stream of its own: a late write to the wire's would take the output that is not yet read along. */
function inputOf(stream: ClientHttp2Stream): Writable {
  const input = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (stream.writable) stream.write(chunk, (error) => done(error == null ? null : ended()));
      else done(ended());
    },
    final(done) {
      stream.end();
      done();
    },
  });
  input.on('error', () => undefined); // whoever writes has it in the callback
  stream.once('close', () => input.destroy());
  return input;
}

function ended(): CaissonError {
  return new CaissonError('PROCESS_ENDED', 'The process has ended.');
}

async function* outputOf(
  stream: ClientHttp2Stream,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly OutputPiece[]> {
  const frames = new OutputFrameReader();
  for await (const chunk of streamChunks(stream, signal)) yield frames.read(chunk);
  if (!frames.isWhole) throw brokenStream(stream, signal);
}

function exitOf(stream: ClientHttp2Stream, signal: AbortSignal | undefined): Promise<ProcessExit> {
  return new Promise((resolve, reject) => {
    stream.once('close', () => reject(brokenStream(stream, signal)));
    stream.once('trailers', (trailers) => {
      const info = exitSchema.safeParse(decodeHeaderJson(trailers[processHeader]));
      if (info.success) resolve(info.data);
      else reject(new CaissonError('GUEST_PROTOCOL', 'The guest did not say how the process ended.'));
      stream.end(); // nobody is left to read the input
    });
  });
}
