import type { inferProcedureOutput } from '@trpc/server';
import type { ApiInputs, AppRouter } from './api.ts';
import type { Endpoint } from './endpoint.ts';
import { type Reconnecting, reconnectingSse } from './reconnecting-sse.ts';

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

export type WatchOptions = Reconnecting &
  Omit<ApiInputs['files']['watch'], 'lastEventId' | 'cursor'> & {
    /** Of the last item that was seen: goes on there, as far as the sandbox remembers. */
    readonly cursor?: string | null;
  };

/**
 * What changes in a folder. A connection that breaks is opened again after the last item; a `ready` that is not `resumed` then
 * says that something may have been missed. A sandbox that was stopped meanwhile is waited for, not started. Throws what
 * trying again cannot change.
 */
export async function* watchFiles(
  endpoint: Endpoint,
  { signal, reconnectForMs, onReconnect, ...given }: WatchOptions,
): AsyncGenerator<FileWatchItem, void, undefined> {
  let cursor = given.cursor ?? null;
  const input = () => ({ ...given, cursor });
  const subscription = { path: 'files.watch', input, signal, reconnectForMs, onReconnect };
  for await (const item of reconnectingSse<FileWatchItem>(endpoint, subscription)) {
    ({ cursor } = item);
    yield item;
  }
}
