import type { inferProcedureOutput } from '@trpc/server';
import { CaissonError } from '../kernel/errors.ts';
import type { ApiInputs, AppRouter } from './api.ts';
import { Backoff, pause } from './backoff.ts';
import { type Endpoint, unreachable } from './endpoint.ts';
import { sse } from './sse.ts';

/** A tracked item is seen by its reader without its id. */
type ItemOf<Output> =
  Output extends AsyncIterable<infer Given>
    ? Given extends readonly [unknown, infer Item, ...unknown[]]
      ? Item
      : Given extends { readonly data: infer Item }
        ? Item
        : Given
    : never;
export type FileWatchItem = ItemOf<inferProcedureOutput<AppRouter['files']['watch']>>;

export type WatchOptions = Omit<ApiInputs['files']['watch'], 'lastEventId' | 'cursor'> & {
  /** Of the last item that was seen: goes on there, as far as the sandbox remembers. */
  readonly cursor?: string | null;
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal;
  /** How long a control plane or sandbox that has gone may stay away, in milliseconds. Default: 5 minutes. */
  readonly reconnectForMs?: number;
};

/** A connection that held for less counts as one more failure. */
const steadyAfterMs = 5_000;

/**
 * What changes in a folder. A connection that breaks is opened again after the last item; a `ready` that is not `resumed` then
 * says that something may have been missed. A sandbox that was stopped meanwhile is waited for, not started. Throws what
 * trying again cannot change.
 */
export async function* watchFiles(
  endpoint: Endpoint,
  { signal = new AbortController().signal, reconnectForMs = 300_000, ...input }: WatchOptions,
): AsyncGenerator<FileWatchItem, void, undefined> {
  const backoff = new Backoff();
  let cursor = input.cursor ?? null;
  let everReady = false;
  let awaySince = performance.now();
  while (!signal.aborted) {
    let readySince: number | undefined;
    let broken = unreachable(endpoint.url, 'it ended the watch');
    try {
      const request = { path: 'files.watch', input: { ...input, cursor }, signal };
      for await (const item of sse<FileWatchItem>(endpoint, request)) {
        ({ cursor } = item);
        readySince ??= performance.now();
        yield item;
      }
    } catch (thrown) {
      if (!(thrown instanceof CaissonError) || !thrown.retryable) throw thrown;
      broken = thrown;
    }
    if (signal.aborted) return;
    const now = performance.now();
    if (readySince !== undefined) {
      everReady = true;
      awaySince = now;
      if (now - readySince >= steadyAfterMs) backoff.reset();
    }
    const delayMs = backoff.nextDelayMs();
    if (!everReady || now + delayMs - awaySince > reconnectForMs) throw broken; // the answer to the very first attempt is final
    await pause(delayMs, signal);
  }
}
