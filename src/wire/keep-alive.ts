import type { Http2Session } from 'node:http2';
import { type Clock, systemClock } from '../kernel/clock.ts';
import { CaissonError } from '../kernel/errors.ts';

export interface KeepAliveOptions {
  /** From one ping to the next. Default 3 s. */
  readonly intervalMs?: number;
  /** How long a ping may stay unanswered. Default 6 s. */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

/**
 * Pings the peer for as long as the session lives, and destroys the session with WIRE_LOST when a ping stays unanswered.
 * A peer that is frozen, or a stream that swallows everything, is found in at most interval + timeout.
 */
export function keepAlive(session: Http2Session, options: KeepAliveOptions = {}): void {
  const { intervalMs = 3_000, timeoutMs = 6_000, clock = systemClock } = options;
  const pending = new Set<() => void>();

  const giveUp = (): void => {
    session.destroy(
      new CaissonError('WIRE_LOST', `The other end of the wire did not answer for ${timeoutMs / 1000} s.`),
    );
  };
  const ping = (): void => {
    let answered = false;
    // Where this process itself stood still, the answer may lie unread in the socket: read before judging.
    const expire = (): void => void setImmediate(() => answered || session.destroyed || giveUp());
    const takeBack = clock.schedule(timeoutMs, expire);
    pending.add(takeBack);
    const sent = session.ping(() => {
      answered = true;
      takeBack();
      pending.delete(takeBack);
    });
    if (!sent) {
      takeBack(); // too many pings are open already: the oldest of them decides
      pending.delete(takeBack);
    }
  };
  let stop = (): void => undefined;
  const next = (): void => {
    stop = clock.schedule(intervalMs, () => {
      if (session.destroyed) return;
      ping();
      next();
    });
  };
  session.once('close', () => {
    stop();
    for (const takeBack of pending) takeBack();
  });
  next();
}
