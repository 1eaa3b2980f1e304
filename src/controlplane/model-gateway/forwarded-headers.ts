import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { endToEndHeaders } from '../../wire/end-to-end-headers.ts';
import type { UpstreamSettings } from './model-routes.ts';

/**
 * What a service needs of a harness. All else stays behind: who asks, for whom, and what it is billed to is for the gateway
 * to say, and the guest's word for it counts for nothing.
 */
const passed = new Set([
  'accept',
  'anthropic-beta',
  'anthropic-version',
  'content-length',
  'content-type',
  'conversation_id',
  'idempotency-key',
  'openai-beta',
  'originator',
  'session-id',
  'session_id',
  'thread-id',
  'user-agent',
  'version',
  'x-client-request-id',
  'x-openai-subagent',
]);
const passedPrefixes = ['x-codex-', 'x-stainless-'];

/** What the service says of the one who pays. */
const ofThePayer = new Set(['anthropic-organization-id', 'openai-organization', 'openai-project', 'set-cookie']);

type Key = Pick<UpstreamSettings, 'apiKey' | 'keyHeader'>;

/** What the model service is sent of a guest's headers, with the real key. */
export function requestHeaders(
  headers: Readonly<IncomingHttpHeaders>,
  { apiKey, keyHeader }: Key,
): OutgoingHttpHeaders {
  const sent: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(endToEndHeaders(headers))) {
    if (passed.has(name) || passedPrefixes.some((prefix) => name.startsWith(prefix))) sent[name] = value;
  }
  if (apiKey !== null) {
    if (keyHeader === 'bearer') sent['authorization'] = `Bearer ${apiKey}`;
    else sent[keyHeader] = apiKey;
  }
  sent['accept-encoding'] = 'identity'; // so that the tokens can be read as they pass
  return sent;
}

/** What the guest is given of the service's headers. */
export function responseHeaders(headers: Readonly<IncomingHttpHeaders>, apiKey: string | null): OutgoingHttpHeaders {
  const given: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(endToEndHeaders(headers))) {
    if (ofThePayer.has(name)) continue;
    if (apiKey !== null && String(value).includes(apiKey)) continue;
    given[name] = value;
  }
  // A stream of events may be ended by the gateway.
  if (headers['content-type']?.startsWith('text/event-stream') === true) delete given['content-length'];
  return given;
}
