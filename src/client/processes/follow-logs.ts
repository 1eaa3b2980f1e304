import { CaissonError } from '../../kernel/errors.ts';
import type { ApiInputs, Process } from '../api.ts';
import type { Endpoint } from '../endpoint.ts';
import { type Reconnecting, reconnectingSse } from '../reconnecting-sse.ts';

/** An item of `processes.logs`. */
interface Batch {
  readonly lost: number;
  readonly chunks: readonly {
    readonly stream: 'stdout' | 'stderr';
    readonly offset: number;
    readonly data: string;
    readonly encoding: 'utf8' | 'base64';
  }[];
  readonly next: number;
  readonly ended: Process | null;
}

/** Bytes of a log; or how many are gone; or, as the last of all, the process as it is where its log ends. */
export type ProcessLogPart =
  | {
      readonly type: 'output';
      readonly stream: 'stdout' | 'stderr';
      readonly offset: number;
      readonly data: Uint8Array;
    }
  | { readonly type: 'lost'; readonly offset: number; readonly bytes: number }
  | { readonly type: 'end'; readonly offset: number; readonly process: Process };

export interface ProcessLogsOptions extends Reconnecting, Pick<ApiInputs['processes']['get'], 'agentId' | 'processId'> {
  /** Bytes that are not wanted again: an offset that an earlier part ended at. Default 0. */
  readonly after?: number;
  /** Whether to go on until the output ends, or to stop at what is there. Default false. */
  readonly follow?: boolean;
}

/**
 * The output of a background process in order, each byte once, or told as lost. A connection that breaks is opened again
 * after the last byte that came. Throws PROCESS_NOT_FOUND when the sandbox has stopped, was started anew or has
 * forgotten the process.
 */
export async function* followLogs(
  endpoint: Endpoint,
  { agentId, processId, after = 0, follow = false, ...reconnecting }: ProcessLogsOptions,
): AsyncGenerator<ProcessLogPart, void, undefined> {
  let next = after;
  const input = () => ({ agentId, processId, after: next, follow });
  const subscription = { path: 'processes.logs', input, isFinal: isStopped, ...reconnecting };
  try {
    for await (const batch of reconnectingSse<Batch>(endpoint, subscription)) {
      yield* partsOf(batch, next);
      next = batch.next;
      if (batch.ended !== null) return;
    }
  } catch (thrown) {
    if (!(thrown instanceof CaissonError) || !isStopped(thrown)) throw thrown;
    throw new CaissonError('PROCESS_NOT_FOUND', 'The sandbox has stopped, and its processes with it.', {
      cause: thrown,
    });
  }
}

/** A sandbox that starts again has none of its earlier processes: nothing is waited for. */
function isStopped({ code }: CaissonError): boolean {
  return code === 'SANDBOX_NOT_RUNNING';
}

function* partsOf(batch: Batch, from: number): Generator<ProcessLogPart> {
  if (batch.lost > 0) yield { type: 'lost', offset: from, bytes: batch.lost };
  for (const { stream, offset, data, encoding } of batch.chunks) {
    yield { type: 'output', stream, offset, data: encoding === 'utf8' ? encoder.encode(data) : fromBase64(data) };
  }
  if (batch.ended !== null) yield { type: 'end', offset: batch.next, process: batch.ended };
}

const encoder = new TextEncoder();

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
