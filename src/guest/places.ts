import { type ClientHttp2Session, type ClientHttp2Stream, constants } from 'node:http2';
import { CaissonError } from '../kernel/errors.ts';

/**
 * How long the place of a stream that was reset stays taken: so long the other end may still count it, and speak of it. nghttp2
 * 1.70 ends a session at 10,000 frames out of place, refilled by 330 a second, and Node lets nobody set that: 512 places are
 * 102 resets a second, of three such frames each.
 */
const restMs = 5_000;

interface Opened {
  readonly session: ClientHttp2Session;
  readonly stream: ClientHttp2Stream;
}

/** What may be open at the same time on a channel of the guest. A flood of streams that are dropped slows itself here. */
export class Places {
  readonly #most: number;
  readonly #what: string;
  #taken = 0;

  /** `what` is said to whoever is refused. */
  constructor(most: number, what: string) {
    this.#most = most;
    this.#what = what;
  }

  /**
   * Keeps a place for a stream while `open` waits for its session and opens it, and then until it has closed: a while longer
   * where it was reset and its session lives.
   *
   * @throws CaissonError LIMIT_REACHED, or what `open` throws.
   */
  async hold(open: () => Promise<Opened>): Promise<ClientHttp2Stream> {
    // Above its streams a session makes new ones wait, without a bound.
    if (this.#taken >= this.#most) {
      throw new CaissonError('LIMIT_REACHED', `${this.#most} ${this.#what} are open already, or were just dropped.`, {
        hint: 'Close those that are no longer needed, and try again in some seconds.',
      });
    }
    this.#taken++;
    const leave = (): void => void this.#taken--;
    try {
      const { session, stream } = await open();
      stream.once('close', () => {
        if (stream.rstCode === constants.NGHTTP2_NO_ERROR || session.destroyed) leave();
        else setTimeout(leave, restMs).unref();
      });
      return stream;
    } catch (thrown) {
      leave();
      throw thrown;
    }
  }
}
