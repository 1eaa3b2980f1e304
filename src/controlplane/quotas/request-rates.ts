import type { Clock } from '../../kernel/clock.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { KeyId } from '../../kernel/ids.ts';
import type { Principal } from '../auth/identity.ts';
import { type Account, userAccount } from './account.ts';
import type { TermsSource } from './terms.ts';
import { TokenBucket } from './token-bucket.ts';

/** A minute, of administrators whatever was said: who has given too little must be able to take it back. */
const leastOfAdmins = 60;

/** Who is told that it calls too often. */
const callers = {
  user: 'This user, with all keys and sessions,',
  key: 'This API key',
  session: 'This session',
} as const;

/** Users and keys whose buckets are kept; those that asked longest ago get full ones the next time. */
const mostBuckets = 20_000;

interface RequestRatesOptions {
  readonly terms: TermsSource;
  /** Requests a minute of one key, or of one session of a browser; null = unlimited. */
  readonly perKey: number | null;
  readonly clock: Clock;
}

/** How often users, their keys and their sessions may call. Kept in memory: a new process begins with full buckets. */
export class RequestRates {
  readonly #options: RequestRatesOptions;
  readonly #buckets = new Map<Account | KeyId, TokenBucket>();

  constructor(options: RequestRatesOptions) {
    this.#options = options;
  }

  /**
   * Takes room for `count` calls, or none.
   *
   * @throws CaissonError RATE_LIMITED with `{ dimension: 'requests', of, limit, retryAfterMs }`: `of` the user, the key or the session.
   */
  async take(caller: Pick<Principal, 'userId' | 'keyId' | 'role' | 'signedInBy'>, count: number): Promise<void> {
    const { userId, keyId, role, signedInBy } = caller;
    const { terms, perKey } = this.#options;
    const account = userAccount(userId);
    const { requests } = (await terms.of(account)).limits;
    const ofUser = requests !== null && role === 'admin' ? Math.max(requests, leastOfAdmins) : requests;
    this.#take(keyId, { count, perMinute: perKey, of: signedInBy === null ? 'key' : 'session' });
    try {
      this.#take(account, { count, perMinute: ofUser, of: 'user' });
    } catch (thrown) {
      this.#buckets.get(keyId)?.giveBack(count);
      throw thrown;
    }
  }

  #take(
    whose: Account | KeyId,
    {
      count,
      perMinute,
      of,
    }: { readonly count: number; readonly perMinute: number | null; readonly of: keyof typeof callers },
  ): void {
    if (perMinute === null) return;
    const now = this.#options.clock.elapsed();
    const bucket = this.#buckets.get(whose) ?? new TokenBucket(perMinute, now);
    this.#buckets.delete(whose);
    this.#buckets.set(whose, bucket);
    if (this.#buckets.size > mostBuckets) {
      const oldest = this.#buckets.keys().next();
      if (!oldest.done) this.#buckets.delete(oldest.value);
    }
    const retryAfterMs = bucket.take(count, { perMinute, now });
    if (retryAfterMs === 0) return;
    throw new CaissonError('RATE_LIMITED', `${callers[of]} may send ${perMinute} requests a minute.`, {
      hint: `Wait ${Math.ceil(retryAfterMs / 1_000)} s, and send fewer requests.`,
      details: { dimension: 'requests', of, limit: perMinute, retryAfterMs },
    });
  }
}
