import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { endToEndHeaders } from '../../wire/end-to-end-headers.ts';

/** Who asks, and how. The guest's word for it counts for nothing, and cookies are nobody's. */
const ofTheCaller = new Set(['authorization', 'api-key', 'x-api-key', 'cookie', 'accept-encoding', 'forwarded', 'via']);

/** What the model service is sent of a guest's headers, with the real key in place of the guest's. */
export function requestHeaders(headers: Readonly<IncomingHttpHeaders>, apiKey: string | null): OutgoingHttpHeaders {
  const sent: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(endToEndHeaders(headers))) {
    if (ofTheCaller.has(name) || name.startsWith('caisson-') || name.startsWith('x-forwarded-')) continue;
    sent[name] = value;
  }
  if (apiKey !== null) sent['authorization'] = `Bearer ${apiKey}`;
  sent['accept-encoding'] = 'identity'; // so that the tokens can be read as they pass
  return sent;
}

/** What the guest is given of the service's headers. */
export function responseHeaders(headers: Readonly<IncomingHttpHeaders>, apiKey: string | null): OutgoingHttpHeaders {
  const given: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(endToEndHeaders(headers))) {
    if (name === 'set-cookie') continue;
    if (apiKey !== null && String(value).includes(apiKey)) continue;
    given[name] = value;
  }
  return given;
}
