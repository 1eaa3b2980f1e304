import type { Clock } from '../../kernel/clock.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { SessionService } from './session-service.ts';

/** How late it is known that the time of a session is over, by those who are told. Nobody gets in with it from that moment on. */
const lookEveryMs = 60_000;

interface SessionEndsOptions {
  readonly sessions: Pick<SessionService, 'endByTime'>;
  readonly clock: Pick<Clock, 'schedule'>;
  readonly logger: Logger;
}

/**
 * Ends sessions whose time is over, so that it is on record, once a minute; those that ended before the start, or by a clock that has jumped,
 * when that is certain (`SteadyClock`).
 */
export class SessionEnds implements AsyncDisposable {
  readonly #options: SessionEndsOptions;
  #cancel: () => void = () => undefined;
  #look: Promise<void>;
  #isOver = false;

  constructor(options: SessionEndsOptions) {
    this.#options = options;
    this.#look = this.#lookAndWait();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    this.#cancel();
    await this.#look;
  }

  /** Never rejects. */
  async #lookAndWait(): Promise<void> {
    const { sessions, clock, logger } = this.#options;
    try {
      await sessions.endByTime();
    } catch (err) {
      logger.warn({ err }, 'it could not be recorded which sessions are over; it is tried again');
    }
    if (this.#isOver) return;
    this.#cancel = clock.schedule(lookEveryMs, () => {
      this.#look = this.#lookAndWait();
    });
  }
}
