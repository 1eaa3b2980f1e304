import type { AgentId, ReservationId } from '../../kernel/ids.ts';
import type { Account } from './account.ts';
import type { MeteredDimension } from './dimension.ts';
import type { Charge } from './ledger.ts';

/** What is written of an account and a dimension. */
export interface AccountState {
  /** Settled in the window that ends at `resetsAt`. */
  readonly used: number;
  /** Milliseconds since the epoch; null for a window that does not end, and where nothing was ever settled. */
  readonly resetsAt: number | null;
  /** Reserved, and not expired. */
  readonly reserved: number;
}

/** Whose use of what. */
export type AccountEntry = Pick<Charge, 'account' | 'dimension'>;

/** What an account has used up. */
export interface AccountUse extends Charge {
  /** The end of the window that begins where the one before is over; null for one that does not end. */
  readonly resetsAt: number | null;
  /** Whose deletion takes the account along. Nothing is counted where that agent is deleted already. */
  readonly agentId: AgentId | null;
}

/** What an account has used after that, in the window that ends at `resetsAt`. */
export interface AccountUsed extends AccountEntry {
  readonly used: number;
  readonly resetsAt: number | null;
}

/** Where the ledger is kept. */
export interface LedgerStore {
  /**
   * Serialised, in the order of asking; all of it outlives the process when it resolves, or none. Those that are asked for
   * while another one is under way may be stored together.
   */
  transaction<T>(work: (tx: LedgerTransaction) => Promise<T>): Promise<T>;
  readAccount(account: Account, dimension: MeteredDimension, now: number): Promise<AccountState>;
  /** Forgets reservations that have expired. */
  removeExpired(now: number): Promise<void>;
  /** No reservation lasts longer from `now` on than it was made for. */
  boundExpiries(now: number): Promise<void>;
}

/** What is asked for of many accounts is one statement: no entry may come twice. */
export interface LedgerTransaction {
  /** In the order of the entries. */
  readAccounts(entries: readonly AccountEntry[], now: number): Promise<readonly AccountState[]>;
  /** Adds to the window under way; where `now` has come to its end the next one begins, empty. The answer is in any order. */
  addUse(uses: readonly AccountUse[], now: number): Promise<readonly AccountUsed[]>;
  insertReservation(
    id: ReservationId,
    charges: readonly Charge[],
    expiry: { readonly expiresAt: number; readonly lifetimeMs: number },
  ): Promise<void>;
  /** Whether it still held its room: it may be forgotten, or have expired. `entries`: those of its charges. */
  removeReservation(
    id: ReservationId,
    held: { readonly entries: readonly AccountEntry[]; readonly now: number },
  ): Promise<boolean>;
}
