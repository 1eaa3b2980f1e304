import type { IncomingMessage } from 'node:http';
import { writeRawRefusal } from './refusals.ts';

/** From a request's headers to the end of its body. */
const longestMs = 60_000;
/** Uploads may take as long as they like, as long as they bring something: their routes see to it. */
const streamed = /^\/v1\/agents\/[^/]+\/(file|archive)(\?|$)/;

/**
 * Gives up a request whose body does not end within 60 s: 408, and the connection is closed. Answers may take as long as
 * they like: waits and subscriptions do.
 */
export function boundBodyTime(request: IncomingMessage): void {
  const { method, url = '' } = request;
  if (!hasBody(request) || (method === 'PUT' && streamed.test(url))) return;
  const late = setTimeout(() => {
    writeRawRefusal(request.socket, Object.assign(new Error('late'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }));
  }, longestMs);
  const done = (): void => clearTimeout(late);
  request.once('end', done).once('close', done);
}

export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
