import { isTrackedEnvelope } from '@trpc/server';

/**
 * Server-sent events as tRPC's `httpSubscriptionLink` reads them. A test holds these frames against those that
 * tRPC's own adapter writes.
 */
export function connectedFrame(options: { readonly reconnectAfterInactivityMs: number }): string {
  return `event: connected\ndata: ${JSON.stringify(options)}\n\n\n`;
}

export const pingFrame = 'event: ping\ndata: \n\n\n';

/** The subscription is over and must not be opened again. A stream that ends without it is opened again by the client. */
export const returnFrame = 'event: return\ndata: \n\n\n';

export function errorFrame(shape: unknown): string {
  return `event: serialized-error\ndata: ${JSON.stringify(shape)}\n\n\n`;
}

/** One item. A tracked one carries its id, which a client that reconnects sends as its cursor. */
export function itemFrame(item: unknown): string {
  return isTrackedEnvelope(item)
    ? `data: ${JSON.stringify(item[1])}\nid: ${item[0]}\n\n\n`
    : `data: ${JSON.stringify(item)}\n\n\n`;
}
