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

/** Where the ledger is kept. */
export interface LedgerStore {
  /** Serialised, in the order of asking; all of it outlives the process when it resolves, or none. */
  transaction<T>(work: (tx: LedgerTransaction) => Promise<T>): Promise<T>;
  readAccount(account: Account, dimension: MeteredDimension, now: number): Promise<AccountState>;
  /** Forgets reservations that have expired. */
  removeExpired(now: number): Promise<void>;
  /** No reservation lasts longer from `now` on than it was made for. */
  boundExpiries(now: number): Promise<void>;
}

export interface LedgerTransaction {
  readAccount(account: Account, dimension: MeteredDimension, now: number): Promise<AccountState>;
  /** `agentId`: whose deletion takes the account along. Does nothing when that agent is deleted already. */
  writeAccount(
    account: Account,
    dimension: MeteredDimension,
    state: { readonly used: number; readonly resetsAt: number | null; readonly agentId: AgentId | null },
  ): Promise<void>;
  insertReservation(
    id: ReservationId,
    charges: readonly Charge[],
    expiry: { readonly expiresAt: number; readonly lifetimeMs: number },
  ): Promise<void>;
  /** Whether it still held its room: it may be forgotten, or have expired. */
  removeReservation(id: ReservationId, now: number): Promise<boolean>;
}
