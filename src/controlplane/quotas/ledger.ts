import type { Account } from './account.ts';
import type { MeteredDimension } from './dimension.ts';

/** Use of one dimension by one account. */
export interface Charge {
  readonly account: Account;
  readonly dimension: MeteredDimension;
  /** A whole number of the dimension's unit, not negative. */
  readonly amount: number;
}

/**
 * What accounts use up, against what they may. Room is reserved before something is used, and what was really used is
 * settled afterwards: what is settled and reserved in a window never exceeds the limit by concurrency, only by a
 * settlement that is higher than its reservation. Everything outlives the process when its promise resolves.
 *
 * The windows of users and agents are days in the time zone of the user, from midnight to midnight, however many hours the
 * day has; that of a conversation is its whole life. A window ends when the clock passes its end: one that jumps back
 * stays in the window that it was in, so it never gives anything twice.
 */
export interface Ledger {
  /**
   * All charges or none, in one transaction. The room is held until it is settled or released, but no longer than
   * `expiresInMs` by a clock that does not jump: a process that dies in between leaves nothing behind.
   *
   * @throws CaissonError QUOTA_EXCEEDED for the first charge that has no room, with
   *   `{ dimension, of, limit, used, reserved, asked, resetsAt }`; `of` is `user`, `agent` or `conversation`; AGENT_NOT_FOUND, CONVERSATION_NOT_FOUND.
   */
  reserve(charges: readonly Charge[], options: { readonly expiresInMs: number }): Promise<Reservation>;

  /** What is left for an account, at this moment; 0 when it is spent. null = unlimited. */
  remaining(account: Account, dimension: MeteredDimension): Promise<number | null>;
}

/**
 * Room that is held. The first `settle` or `release` that succeeds ends it; later ones do nothing, so that a `release` can
 * stand in a `finally`. One that failed can be tried again.
 */
export interface Reservation {
  /**
   * Gives the room back, and counts `actual` as used: also more than was reserved, and also after the reservation has
   * expired, since that is what has happened; where an agent was deleted meanwhile, to its owner. It is counted in the window
   * of this moment.
   */
  settle(actual: readonly Charge[]): Promise<void>;

  /** Gives the room back; nothing was used. */
  release(): Promise<void>;

  /**
   * Holds the room for `expiresInMs` from now, and `more` with it. A reservation that has expired meanwhile takes its room
   * again, if there is any.
   *
   * @throws CaissonError QUOTA_EXCEEDED; the reservation is then as it was.
   */
  extend(options: { readonly expiresInMs: number; readonly more?: readonly Charge[] }): Promise<void>;
}
