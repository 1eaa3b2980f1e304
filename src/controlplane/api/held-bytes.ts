import { CaissonError } from '../../kernel/errors.ts';
import type { KeyId } from '../../kernel/ids.ts';
import { type KeyOfCaller, type OpenCallLimits, whatOf } from './open-calls.ts';

/** What a call holds up to here belongs to its place, and is not counted: little is not refused for the sake of much. */
const smallBytes = 16 * 1_024;

/** What one request makes the control plane hold in memory. Disposing it gives all of it back. */
export interface Holding extends Disposable {
  /**
   * From now on it holds so many bytes. Less than before is never refused.
   *
   * @throws CaissonError TOO_MANY_CONNECTIONS; then it holds what it held.
   */
  set(bytes: number): void;
}

/** Counts the bytes of requests that come in, and of answers until their readers have taken them. */
export class HeldBytes {
  readonly #limits: OpenCallLimits;
  readonly #ofKeys = new Map<KeyId, number>();
  #inAll = 0;

  /** In bytes. */
  constructor(limits: OpenCallLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#inAll;
  }

  of(by: KeyOfCaller): Holding {
    let held = 0;
    let isOver = false;
    const set = (bytes: number): void => {
      if (isOver) return;
      const counted = bytes > smallBytes ? bytes : 0;
      this.#add(by, counted - held);
      held = counted;
    };
    return {
      set,
      [Symbol.dispose]() {
        set(0);
        isOver = true;
      },
    };
  }

  #add(by: KeyOfCaller, more: number): void {
    const { keyId } = by;
    const { perKey, inAll } = this.#limits;
    const ofKey = (this.#ofKeys.get(keyId) ?? 0) + more;
    if (more > 0 && ofKey > perKey) throw tooMany(whatOf(by), perKey);
    if (more > 0 && this.#inAll + more > inAll) throw tooMany('the control plane', inAll);
    this.#inAll += more;
    if (ofKey === 0) this.#ofKeys.delete(keyId);
    else this.#ofKeys.set(keyId, ofKey);
  }
}

function tooMany(whose: string, limit: number): CaissonError {
  const message = `What ${whose} has sent, and what it was answered and has not taken, exceeds ${limit} bytes.`;
  return new CaissonError('TOO_MANY_CONNECTIONS', message, {
    hint: 'Take the answers that you have asked for, and ask for less at once.',
    details: { limit },
  });
}
