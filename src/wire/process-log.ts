import type { ClientHttp2Session } from 'node:http2';
import { CaissonError } from '../kernel/errors.ts';
import type { ProcessId } from '../kernel/ids.ts';
import { processHeader, type ProcessInfo, processInfoSchema, processPaths } from './contract/processes.ts';
import { decodeHeaderJson } from './header-json.ts';
import { OutputFrameReader, type OutputPiece } from './output-frames.ts';
import { brokenStream, leaveStream, openStream, refusalOf, responseStatus } from './requests.ts';
import { streamChunks } from './stream-chunks.ts';

/** A process's output on its way. */
export interface ProcessLog {
  /** As it was when the log was opened. */
  readonly info: ProcessInfo;
  /** In batches of what has come. Returns the process as it is at the end of the log; throws WIRE_LOST where that is cut. */
  read(): AsyncGenerator<readonly OutputPiece[], ProcessInfo>;
}

/** Opens a log; `signal` ends it. Rejects with PROCESS_NOT_FOUND, or BAD_REQUEST for a place that it has not reached. */
export async function openProcessLog(
  session: ClientHttp2Session,
  id: ProcessId,
  options: { readonly after: number; readonly follow: boolean; readonly signal?: AbortSignal | undefined },
): Promise<ProcessLog> {
  const { after, follow, signal } = options;
  const stream = openStream(session, {
    headers: { ':path': `${processPaths.logs(id)}?after=${after}&follow=${follow}` },
    use: 'wait',
    signal,
    endStream: true,
  });
  let first: ProcessInfo | undefined;
  let last: ProcessInfo | undefined;
  stream.once('response', (headers) => (first = infoOf(headers[processHeader])));
  stream.once('trailers', (trailers) => (last = infoOf(trailers[processHeader])));
  const status = await responseStatus(stream, signal);
  if (status !== 200) throw await refusalOf(stream, status, signal);
  if (first === undefined) {
    leaveStream(stream);
    throw new CaissonError('GUEST_PROTOCOL', 'The guest did not say whose output it sends.');
  }
  return {
    info: first,
    async *read() {
      const frames = new OutputFrameReader();
      for await (const chunk of streamChunks(stream, signal)) yield frames.read(chunk);
      if (last === undefined || !frames.isWhole) throw brokenStream(stream, signal);
      return last;
    },
  };
}

function infoOf(header: unknown): ProcessInfo | undefined {
  return processInfoSchema.safeParse(decodeHeaderJson(header)).data;
}
