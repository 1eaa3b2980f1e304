import type { ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';

/** A request of the control plane to a guest, at its beginning. */
export interface WireCall {
  readonly method: string;
  /** With its query. Ids and names stand in it. */
  readonly path: string;
  readonly stream: ClientHttp2Stream;
}

const listeners = new Set<(call: WireCall) => void>();

/** Calls `listener`, which must not throw, for every call of this process, in the context of the caller. What it returns ends that. */
export function onWireCall(listener: (call: WireCall) => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** Costs nothing where nobody listens. */
export function tellWireCall(headers: OutgoingHttpHeaders, stream: ClientHttp2Stream): void {
  if (listeners.size === 0) return;
  const call = { method: String(headers[':method'] ?? 'GET'), path: String(headers[':path'] ?? '/'), stream };
  for (const listener of listeners) listener(call);
}
