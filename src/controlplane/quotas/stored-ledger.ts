import { quotaExceeded } from '../../agents/quota-exceeded.ts';
import type { Clock } from '../../kernel/clock.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { type AgentId, newReservationId, type ReservationId } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import { type Account, holderOf } from './account.ts';
import { endOfDay } from './day.ts';
import type { MeteredDimension } from './dimension.ts';
import type { Charge, Ledger, Reservation } from './ledger.ts';
import type { AccountEntry, AccountState, AccountUsed, LedgerStore, LedgerTransaction } from './ledger-store.ts';
import type { Terms, TermsSource } from './terms.ts';

/** Between two sweeps of reservations that have expired. They hold no room from the moment at which they do. */
const sweepEveryMs = 60_000;

/** An account as of now. */
export interface Balance {
  readonly limit: number | null;
  readonly used: number;
  readonly reserved: number;
  /** Null: its window does not end. */
  readonly resetsAt: number | null;
}

/** A settlement that took an account past a mark. */
export interface Crossing extends Pick<Balance, 'used' | 'resetsAt'> {
  readonly account: Account;
  readonly dimension: MeteredDimension;
  readonly limit: number;
  /** `near`: 80 % are used; `spent`: all of it. */
  readonly mark: 'near' | 'spent';
  /** Of the accounts in the same settlement. */
  readonly agentId: AgentId | null;
}

const nearShare = 0.8;

interface StoredLedgerOptions {
  readonly store: LedgerStore;
  readonly terms: TermsSource;
  readonly clock: Clock;
  readonly logger: Logger;
}

type TermedCharge = Charge & { readonly terms: Terms };

/** The ledger in the control plane's own database. */
export class StoredLedger implements Ledger, Disposable {
  readonly #store: LedgerStore;
  readonly #terms: TermsSource;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #startedAt: number;
  readonly #listeners = new Set<(crossing: Crossing) => void>();
  #cancelSweep: () => void = () => undefined;

  private constructor({ store, terms, clock, logger }: StoredLedgerOptions) {
    this.#store = store;
    this.#terms = terms;
    this.#clock = clock;
    this.#logger = logger;
    this.#startedAt = clock.now() - clock.elapsed();
  }

  /** Reservations of an earlier process keep their room until they expire. */
  static async open(options: StoredLedgerOptions): Promise<StoredLedger> {
    const ledger = new StoredLedger(options);
    await options.store.boundExpiries(ledger.#steadyNow());
    await ledger.#sweep();
    return ledger;
  }

  async reserve(charges: readonly Charge[], options: { readonly expiresInMs: number }): Promise<Reservation> {
    const wanted = await this.#withTerms(charges);
    const id = newReservationId();
    const now = this.#clock.now();
    await this.#store.transaction(async (tx) => {
      await this.#requireRoom(tx, wanted, now);
      await tx.insertReservation(id, wanted, this.#expiry(options.expiresInMs));
    });
    return this.#reservation(id, wanted);
  }

  async remaining(account: Account, dimension: MeteredDimension): Promise<number | null> {
    const { limit, used, reserved } = await this.balance(account, dimension);
    return limit === null ? null : Math.max(0, limit - used - reserved);
  }

  /** Errors: AGENT_NOT_FOUND, CONVERSATION_NOT_FOUND. */
  async balance(account: Account, dimension: MeteredDimension): Promise<Balance> {
    const terms = await this.#terms.of(account);
    const state = await this.#store.readAccount(account, dimension, this.#steadyNow());
    return balanceOf({ account, dimension, terms }, state, this.#clock.now());
  }

  /** Calls `listener`, which must not throw, when an account has come near its limit, and when it has reached it: once each in a window. */
  onCrossing(listener: (crossing: Crossing) => void): void {
    this.#listeners.add(listener);
  }

  [Symbol.dispose](): void {
    this.#cancelSweep();
  }

  #reservation(id: ReservationId, reserved: readonly TermedCharge[]): Reservation {
    let held = reserved;
    let mayHold = reserved;
    let ended = false;
    const end = async (actual: readonly Charge[]): Promise<void> => {
      if (ended) return;
      ended = true;
      try {
        const counted = await this.#withTerms(actual, held);
        await this.#settle({ id, entries: mayHold, counted });
      } catch (thrown) {
        ended = false;
        throw thrown;
      }
    };
    return {
      settle: end,
      release: async () => await end([]),
      extend: async ({ expiresInMs, more = [] }) => {
        if (ended) throw new CaissonError('INTERNAL', 'A reservation that has ended cannot be extended.');
        const whole = await this.#withTerms([...held, ...more], held);
        mayHold = whole; // also while it is being stored
        await this.#extend({ id, held, whole }, expiresInMs);
        held = whole;
      },
    };
  }

  async #extend(
    { id, held, whole }: { id: ReservationId; held: readonly TermedCharge[]; whole: readonly TermedCharge[] },
    expiresInMs: number,
  ): Promise<void> {
    const now = this.#clock.now();
    await this.#store.transaction(async (tx) => {
      const hadRoom = await tx.removeReservation(id, { entries: whole, now: this.#steadyNow() });
      const grown = whole.filter(
        (charge) => charge.amount > (held.find((each) => isSameEntry(each, charge))?.amount ?? 0),
      );
      await this.#requireRoom(tx, hadRoom ? grown : whole, now);
      await tx.insertReservation(id, whole, this.#expiry(expiresInMs));
    });
  }

  async #settle({
    id,
    entries,
    counted,
  }: {
    readonly id: ReservationId;
    readonly entries: readonly AccountEntry[];
    readonly counted: readonly TermedCharge[];
  }): Promise<void> {
    const now = this.#clock.now();
    const agentId = counted.find(({ terms }) => terms.agentId !== null)?.terms.agentId ?? null;
    const after = await this.#store.transaction(async (tx) => {
      await tx.removeReservation(id, { entries, now: this.#steadyNow() });
      const uses = counted.map((charge) => ({
        ...charge,
        resetsAt: endOfWindow(charge, now),
        agentId: charge.terms.agentId,
      }));
      return await tx.addUse(uses, now);
    });
    const crossings = counted.flatMap((charge) => {
      const used = after.find((each) => isSameEntry(each, charge));
      return used === undefined ? [] : crossingsOf(charge, used, agentId);
    });
    for (const crossing of crossings) for (const listener of this.#listeners) listener(crossing);
  }

  /** Throws for the first that has no room. What is not limited costs no look into the store. */
  async #requireRoom(tx: LedgerTransaction, charges: readonly TermedCharge[], now: number): Promise<void> {
    const limited = charges.filter(({ dimension, terms }) => terms.limits[dimension] !== null);
    const states = await tx.readAccounts(limited, this.#steadyNow());
    for (const [at, state] of states.entries()) {
      const charge = limited[at];
      if (charge === undefined) continue;
      const { account, dimension, amount: asked } = charge;
      const { limit, ...balance } = balanceOf(charge, state, now);
      if (limit === null || balance.used + balance.reserved + asked <= limit) continue;
      throw quotaExceeded({ ...balance, limit, of: holderOf(account).kind, dimension, asked });
    }
  }

  /** Checked, and one for each account and dimension. An account that is `known` may be gone meanwhile. */
  async #withTerms(charges: readonly Charge[], known: readonly TermedCharge[] = []): Promise<readonly TermedCharge[]> {
    const merged: TermedCharge[] = [];
    for (const { account, dimension, amount } of charges) {
      if (!Number.isSafeInteger(amount) || amount < 0) {
        throw new CaissonError('INTERNAL', `A charge of ${amount} ${dimension} is not a whole number.`);
      }
      const at = merged.findIndex((each) => isSameEntry(each, { account, dimension }));
      const same = merged[at];
      const terms = known.find((each) => each.account === account)?.terms;
      if (same === undefined)
        merged.push({ account, dimension, amount, terms: terms ?? (await this.#terms.of(account)) });
      else merged[at] = { ...same, amount: same.amount + amount };
    }
    return merged;
  }

  /** Milliseconds since the epoch as they were when this process began, and steady from then on: for what must not jump. */
  #steadyNow(): number {
    return Math.floor(this.#startedAt + this.#clock.elapsed());
  }

  #expiry(lifetimeMs: number): { readonly expiresAt: number; readonly lifetimeMs: number } {
    return { expiresAt: this.#steadyNow() + lifetimeMs, lifetimeMs };
  }

  async #sweep(): Promise<void> {
    // First, so that one that is under way at the end leaves nothing behind.
    this.#cancelSweep = this.#clock.schedule(sweepEveryMs, () => void this.#sweep());
    try {
      await this.#store.removeExpired(this.#steadyNow());
    } catch (thrown) {
      this.#logger.warn({ err: thrown }, 'reservations that have expired could not be forgotten');
    }
  }
}

/** A window that is over is empty, and the next one has begun. */
function balanceOf(
  { account, dimension, terms }: { account: Account; dimension: MeteredDimension; terms: Terms },
  state: AccountState,
  now: number,
): Balance {
  const limit = terms.limits[dimension];
  const { used, resetsAt, reserved } = state;
  const end = endOfWindow({ account, terms }, now);
  if (end === null) return { limit, used, reserved, resetsAt: null };
  if (resetsAt !== null && now < resetsAt) return { limit, used, reserved, resetsAt };
  return { limit, used: 0, reserved, resetsAt: end };
}

/** Of a window that begins now; null where it does not end. */
function endOfWindow({ account, terms }: { account: Account; terms: Terms }, now: number): number | null {
  return holderOf(account).kind === 'conversation' ? null : endOfDay(now, terms.timeZone);
}

function crossingsOf(
  { account, dimension, amount, terms }: TermedCharge,
  { used, resetsAt }: AccountUsed,
  agentId: AgentId | null,
): readonly Crossing[] {
  const limit = terms.limits[dimension];
  if (limit === null) return [];
  const passes = (at: number): boolean => used - amount < at && used >= at;
  const crossing = { account, dimension, limit, used, resetsAt, agentId };
  if (passes(limit)) return [{ ...crossing, mark: 'spent' }];
  return passes(limit * nearShare) ? [{ ...crossing, mark: 'near' }] : [];
}

function isSameEntry(
  one: Pick<Charge, 'account' | 'dimension'>,
  other: Pick<Charge, 'account' | 'dimension'>,
): boolean {
  return one.account === other.account && one.dimension === other.dimension;
}
