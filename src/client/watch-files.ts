import type { inferProcedureOutput } from '@trpc/server';
import { CaissonError } from '../kernel/errors.ts';
import type { ApiInputs, AppRouter } from './api.ts';
import { Backoff, pause } from './backoff.ts';
import type { Endpoint } from './endpoint.ts';
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

/**
 * What changes in a folder. A connection that breaks is opened again after the last item; a `ready` that is not `resumed` then
 * says that something may have been missed. Throws what trying again cannot change.
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
    try {
      for await (const item of sse<FileWatchItem>(endpoint, {
        path: 'files.watch',
        input: { ...input, cursor },
        signal,
      })) {
        ({ cursor } = item);
        everReady = true;
        backoff.reset();
        yield item;
        awaySince = performance.now();
      }
      if (signal.aborted) return;
    } catch (thrown) {
      const delayMs = backoff.nextDelayMs();
      const isLate = performance.now() + delayMs - awaySince > reconnectForMs;
      if (!(thrown instanceof CaissonError) || !thrown.retryable || !everReady || isLate) throw thrown;
      await pause(delayMs, signal);
    }
  }
}
