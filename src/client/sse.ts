import type { Endpoint } from './endpoint.ts';
import { openSseStream } from './sse-stream.ts';

export interface SseSubscription {
  /** Of the procedure, such as `files.search`. */
  readonly path: string;
  readonly input: unknown;
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal | undefined;
  /** As in `SseRequest`. */
  readonly onAlive?: (() => void) | undefined;
}

/**
 * The items of a subscription of the API, one by one, over one connection. Nothing is read ahead beyond one network read;
 * leaving the loop ends the subscription. Ends when the server says that it is over. Throws the control plane's own error,
 * and CONTROL_PLANE_UNREACHABLE when the connection breaks, ends early or falls silent: whoever can go on from a cursor
 * then subscribes again (`reconnecting-sse.ts` does).
 *
 * The shape of an item is the server's promise, as with every answer in tRPC.
 */
export async function* sse<Item>(
  endpoint: Endpoint,
  { path, input, signal = new AbortController().signal, onAlive = () => undefined }: SseSubscription,
): AsyncGenerator<Item, void, undefined> {
  try {
    for await (const batch of openSseStream(endpoint, { path, input, signal, onAlive })) {
      for (const { json } of batch) {
        yield JSON.parse(json) as Item;
        if (signal.aborted) return;
      }
    }
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  }
}
