import {
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerSessionOptions,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import type { KeepAliveOptions } from './keep-alive.ts';
import { gatherSmallPieces } from './small-pieces.ts';
import { holdSession, type WireSession } from './wire-session.ts';

/** Answers one request. Whatever it throws is its own affair: it must not throw. */
export type StreamHandler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

interface ServeOptions {
  readonly handler: StreamHandler;
  /** The bounds of this side, from `http2-settings.ts`. */
  readonly bounds: ServerSessionOptions;
  readonly keepAlive?: KeepAliveOptions | undefined;
}

/**
 * The answering end of a byte stream: a socket, or a `Transport`. Takes it over: it is destroyed with the session.
 */
export function serveHttp2(duplex: Duplex, options: ServeOptions): WireSession<ServerHttp2Session> {
  const { handler, bounds, keepAlive } = options;
  const session = performServerHandshake(duplex, bounds);
  session.on('stream', (stream, headers) => {
    stream.on('error', () => undefined); // a broken stream also emits 'close', which is what handlers watch
    gatherSmallPieces(stream);
    handler(stream, headers);
  });
  return holdSession(session, keepAlive);
}
