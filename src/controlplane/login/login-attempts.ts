import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import type { Clock } from '../../kernel/clock.ts';
import { CaissonError } from '../../kernel/errors.ts';

/** Failed attempts in one window. People behind one address are many. */
const most = { account: 10, address: 50 } as const;
const windowMs = 15 * 60_000;
/** Accounts and addresses that are kept; those whose window began first are forgotten then. */
const mostKept = 20_000;

interface Window {
  failures: number;
  readonly endsAt: number;
}

/** An attempt that counts as failed until it is told otherwise. */
export interface Attempt {
  succeeded(): void;
  /** It could not be made, and nobody has tried anything. */
  withdrawn(): void;
}

/**
 * How often signing in may fail: 10 times in a quarter of an hour for one account (whether or not it exists), and 50 times from
 * one address (of IPv6: one network of 64 bits). Kept in memory: a new process has forgotten it.
 */
export class LoginAttempts {
  readonly #windows = new Map<string, Window>();
  readonly #clock: Pick<Clock, 'elapsed'>;

  constructor(clock: Pick<Clock, 'elapsed'>) {
    this.#clock = clock;
  }

  /**
   * Counts the attempt before anything is looked up, so that many at once are not more.
   *
   * @throws CaissonError RATE_LIMITED with `retryAfterMs`. It counts no further.
   */
  begin({ account, address }: { readonly account: string | null; readonly address: string }): Attempt {
    const windows = [this.#window(`address ${networkOf(address)}`, most.address)];
    // Hashed: what people type there may be their password.
    if (account !== null) windows.push(this.#window(`account ${digest(account)}`, most.account));
    for (const window of windows) window.failures += 1;
    let isOpen = true;
    const giveBack = (): void => {
      if (!isOpen) return;
      isOpen = false;
      for (const window of windows) window.failures -= 1;
    };
    return { succeeded: giveBack, withdrawn: giveBack };
  }

  #window(key: string, limit: number): Window {
    const now = this.#clock.elapsed();
    const known = this.#windows.get(key);
    if (known !== undefined && known.endsAt > now) {
      if (known.failures < limit) return known;
      const retryAfterMs = Math.ceil(known.endsAt - now);
      throw new CaissonError('RATE_LIMITED', 'Signing in has failed too often.', {
        hint: `Wait ${Math.ceil(retryAfterMs / 60_000)} min.`,
        details: { retryAfterMs },
      });
    }
    const window: Window = { failures: 0, endsAt: now + windowMs };
    this.#windows.delete(key);
    this.#windows.set(key, window);
    const oldest = this.#windows.keys().next();
    if (this.#windows.size > mostKept && !oldest.done) this.#windows.delete(oldest.value);
    return window;
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}

/** Who has one IPv6 address has 2^64 of them. */
export function networkOf(address: string): string {
  if (!isIPv6(address) || address.includes('.')) return address;
  const [head = '', tail] = address.split('::');
  const left = head.split(':').filter((group) => group !== '');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0');
  return [...left, ...zeros, ...right].slice(0, 4).join(':');
}
