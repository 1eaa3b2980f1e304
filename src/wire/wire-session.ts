import type { Http2Session } from 'node:http2';
import { sessionWindowBytes } from './http2-settings.ts';
import { keepAlive, type KeepAliveOptions } from './keep-alive.ts';

/** One HTTP/2 session over a byte stream that this end holds. */
export interface WireSession<Session extends Http2Session = Http2Session> {
  readonly session: Session;
  /** Resolves, never rejects, when session and byte stream are over: with what broke them, or undefined. */
  readonly closed: Promise<Error | undefined>;
  /** Ends the session, its streams and its byte stream at once. Resolves when they are gone. */
  close(): Promise<void>;
}

/** Widens the window, watches the peer, and takes the session's errors. */
export function holdSession<Session extends Http2Session>(
  session: Session,
  options: KeepAliveOptions | undefined,
): WireSession<Session> {
  let reason: Error | undefined;
  session.on('error', (error: Error) => (reason ??= error));
  const closed = new Promise<Error | undefined>((resolve) => session.once('close', () => resolve(reason)));
  const widen = (): void => {
    if (!session.destroyed) session.setLocalWindowSize(sessionWindowBytes);
  };
  if (session.connecting) session.once('connect', widen);
  else widen();
  keepAlive(session, options);
  return {
    session,
    closed,
    async close() {
      session.destroy();
      await closed;
    },
  };
}
