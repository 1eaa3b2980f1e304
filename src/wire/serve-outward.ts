import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { egressServerOptions, outwardServerOptions } from './http2-settings.ts';
import type { KeepAliveOptions } from './keep-alive.ts';
import { serveHttp2 } from './serve-http2.ts';
import { Transport } from './transport.ts';
import type { WireSession } from './wire-session.ts';

/**
 * Answers one request of the guest. A rejection, or a throw, resets the stream: the guest sees a broken answer. A handler
 * that breaks off by itself must name an error or a code (`destroy(error)`, `close(NGHTTP2_CANCEL)`): without one, the
 * guest takes what it has for the whole answer. A request's body that has ended with `stream.aborted` set was cut.
 */
export type OutwardHandler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void | Promise<void>;

export interface ServeOutwardOptions {
  /** Which of the channels that the guest asks on. Default: `outward`. */
  readonly channel?: 'outward' | 'egress';
  readonly keepAlive?: KeepAliveOptions;
  /** Hears what a handler threw. */
  readonly onHandlerError: (thrown: unknown) => void;
}

/**
 * The control plane's end of a channel on which the guest asks, `handler` answers. Who asks is known by the wire alone;
 * nothing in a request is to be trusted. Sessions, streams, headers and windows are bounded by `http2-settings.ts`.
 */
export function serveOutward(
  duplex: Duplex,
  handler: OutwardHandler,
  options: ServeOutwardOptions,
): WireSession<ServerHttp2Session> {
  const answer = async (stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> => {
    try {
      await handler(stream, headers);
    } catch (thrown) {
      options.onHandlerError(thrown);
      stream.destroy(thrown instanceof Error ? thrown : undefined);
    }
  };
  return serveHttp2(new Transport(duplex), {
    handler: (stream, headers) => void answer(stream, headers),
    bounds: options.channel === 'egress' ? egressServerOptions : outwardServerOptions,
    keepAlive: options.keepAlive,
  });
}
