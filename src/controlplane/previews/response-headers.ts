import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { endToEndHeaders } from '../../wire/end-to-end-headers.ts';
import { appCookies } from './preview-cookies.ts';

/** Our own, and one that would send visitors past us. */
const dropped = /^(caisson-|alt-svc$)/;

/** What the visitor gets of the headers of an app's answer: without those of the connection and ours, its cookies its own. */
export function appResponseHeaders({ headers, statusCode = 0 }: IncomingMessage): IncomingHttpHeaders {
  const kept: IncomingHttpHeaders = {};
  for (const [name, value] of Object.entries(endToEndHeaders(headers))) if (!dropped.test(name)) kept[name] = value;
  // Of an answer that never has content (RFC 9110, 8.6), whatever the app says: somebody might wait for it.
  if (statusCode < 200 || statusCode === 204) delete kept['content-length'];
  const cookies = appCookies(headers['set-cookie'] ?? []);
  if (cookies.length === 0) delete kept['set-cookie'];
  else kept['set-cookie'] = cookies;
  return kept;
}
