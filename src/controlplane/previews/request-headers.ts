import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { BlockList } from 'node:net';
import { endToEndHeaders } from '../../wire/end-to-end-headers.ts';
import { clientAddress } from '../http/client-address.ts';
import { withoutPreviewCookies } from './preview-cookies.ts';
import { namesToken } from './preview-url.ts';

interface RequestHeadersOptions {
  /** Whether visitors come over TLS. */
  readonly isSecure: boolean;
  readonly trustedProxies: BlockList;
}

/**
 * Ours, and what only we may say: whatever a client sends of these is dropped. Names with underscores too, as nginx does by
 * default: CGI and WSGI apps take `x_forwarded_for` for `x-forwarded-for`.
 */
const dropped = /_|^(caisson-|x-forwarded-|forwarded$|x-real-ip$|proxy-)/;

/** A key of ours in a header of the caller. */
const ownKey = /^bearer +ck_/i;
const keyProtocol = /^base64url\.bearer\.authorization\.caisson\./;

/**
 * What the app gets of a request's headers: without those of the connection, our cookie, our keys and our own headers, and
 * with X-Forwarded-* as they are true. Who sends X-Forwarded-For is believed only when it is a configured proxy. Host stays
 * the name that the visitor uses, so that links and checks of origins come out right.
 */
export function appRequestHeaders(request: IncomingMessage, options: RequestHeadersOptions): IncomingHttpHeaders {
  const { headers } = request;
  const kept: IncomingHttpHeaders = {};
  for (const [name, value] of Object.entries(endToEndHeaders(headers))) if (!dropped.test(name)) kept[name] = value;
  const cookie = withoutPreviewCookies(headers.cookie);
  if (cookie === undefined) delete kept.cookie;
  else kept.cookie = cookie;
  if (ownKey.test(headers.authorization ?? '')) delete kept.authorization;
  if (namesToken(headers.referer ?? '')) delete kept.referer;
  dropKeyProtocols(kept);
  const { host = '' } = headers;
  const scheme = options.isSecure ? 'https' : 'http';
  Object.assign(kept, {
    host,
    'x-forwarded-for': clientAddress(request, options.trustedProxies),
    'x-forwarded-host': host,
    'x-forwarded-proto': scheme,
    'x-forwarded-port': /:(\d+)$/.exec(host)?.[1] ?? (options.isSecure ? '443' : '80'),
  });
  // Node's parser has read the body by these; the app's connection frames it anew.
  if (headers['transfer-encoding'] !== undefined) kept['transfer-encoding'] = 'chunked';
  return kept;
}

/** The same for a request to become a WebSocket. */
export function appUpgradeHeaders(request: IncomingMessage, options: RequestHeadersOptions): IncomingHttpHeaders {
  const { 'transfer-encoding': _, 'content-length': __, ...headers } = appRequestHeaders(request, options);
  return { ...headers, connection: 'Upgrade', upgrade: 'websocket' };
}

function dropKeyProtocols(headers: IncomingHttpHeaders): void {
  const offered = headers['sec-websocket-protocol'];
  if (offered === undefined) return;
  const rest = offered
    .split(',')
    .map((name) => name.trim())
    .filter((name) => !keyProtocol.test(name));
  if (rest.length === 0) delete headers['sec-websocket-protocol'];
  else headers['sec-websocket-protocol'] = rest.join(', ');
}
