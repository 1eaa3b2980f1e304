import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';

/** Between two hops only (RFC 9110 §7.6.1), or made anew for each hop. */
const hopByHop = new Set([
  'connection',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
]);

/** Who asks, and how. The guest's word for it counts for nothing, and cookies are nobody's. */
const ofTheCaller = new Set(['authorization', 'api-key', 'x-api-key', 'cookie', 'accept-encoding', 'forwarded', 'via']);

/** What the model service is sent of a guest's headers, with the real key in place of the guest's. */
export function requestHeaders(headers: Readonly<IncomingHttpHeaders>, apiKey: string | null): OutgoingHttpHeaders {
  const sent: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(':') || hopByHop.has(name) || ofTheCaller.has(name)) continue;
    if (name.startsWith('caisson-') || name.startsWith('x-forwarded-')) continue;
    sent[name] = value;
  }
  if (apiKey !== null) sent['authorization'] = `Bearer ${apiKey}`;
  sent['accept-encoding'] = 'identity'; // so that the tokens can be read as they pass
  return sent;
}

/** What the guest is given of the service's headers. */
export function responseHeaders(headers: Readonly<IncomingHttpHeaders>, apiKey: string | null): OutgoingHttpHeaders {
  const given: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || hopByHop.has(name) || name === 'set-cookie') continue;
    if (apiKey !== null && String(value).includes(apiKey)) continue;
    given[name] = value;
  }
  return given;
}
