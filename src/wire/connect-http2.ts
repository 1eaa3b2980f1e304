import { type ClientHttp2Session, type ClientSessionOptions, connect } from 'node:http2';
import type { Duplex } from 'node:stream';
import { clientSessionOptions } from './http2-settings.ts';
import type { KeepAliveOptions } from './keep-alive.ts';
import { holdSession, type WireSession } from './wire-session.ts';

/** The asking end of a byte stream: a socket, or a `Transport`. Takes it over: it is destroyed with the session. */
export function connectHttp2(
  duplex: Duplex,
  keepAlive?: KeepAliveOptions,
  bounds: ClientSessionOptions = clientSessionOptions,
): WireSession<ClientHttp2Session> {
  const session = connect('http://wire', { ...bounds, createConnection: () => duplex });
  return holdSession(session, keepAlive);
}
