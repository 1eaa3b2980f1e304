import type { Clock } from '../../kernel/clock.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { RunId } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import { SerialQueue } from '../../kernel/serial-queue.ts';
import { type Account, agentAccount, conversationAccount, userAccount } from '../quotas/account.ts';
import type { Charge, Ledger, Reservation } from '../quotas/ledger.ts';
import { type BudgetHold, BudgetSpent, type ModelAmount, type ModelBudget } from './budget.ts';
import type { ModelCaller } from './callers.ts';

/** How long what a process that died had held is held. A call under way renews it long before. */
const expiresInMs = 10 * 60_000;
const renewEveryMs = 3 * 60_000;
const retryEveryMs = 5_000;
/** Of how many runs it is remembered what was spent: the latest. */
const mostSpent = 1_000;

interface LedgerBudgetOptions {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * The budget of models kept by the ledger of quotas: tokens and cost, of the user, the agent and the conversation alike. What the
 * ledger does not take at the end of a call, as on a full disk, is tried again every 5 s, and once more when it is disposed.
 * No call begins meanwhile, so no more waits than was under way.
 */
export class LedgerBudget implements ModelBudget, AsyncDisposable {
  readonly #options: LedgerBudgetOptions;
  readonly #unsettled = new Set<() => Promise<void>>();
  readonly #spentIn = new Map<RunId, string>();
  #cancelRetry: (() => void) | undefined;

  constructor(options: LedgerBudgetOptions) {
    this.#options = options;
  }

  async hold(caller: ModelCaller, amount: ModelAmount): Promise<BudgetHold> {
    const accounts = accountsOf(caller);
    const refusing = async <T>(asked: Promise<T>): Promise<T> => await this.#refusing(caller, asked);
    const reservation = await refusing(this.#options.ledger.reserve(charges(accounts, amount), { expiresInMs }));
    return new LedgerHold({
      ...this.#options,
      accounts,
      reservation,
      refusing,
      tryLater: (end) => this.#tryLater(end),
    });
  }

  /** What a call of this run was told that had no room: harnesses say the same of every quota, the service's or ours. */
  spentIn(runId: RunId): string | undefined {
    return this.#spentIn.get(runId);
  }

  async #refusing<T>({ runId }: ModelCaller, asked: Promise<T>): Promise<T> {
    try {
      return await asked;
    } catch (thrown) {
      const refusal = budgetSpent(thrown);
      if (refusal instanceof BudgetSpent && runId !== null) this.#remember(runId, refusal.message);
      throw refusal;
    }
  }

  #remember(runId: RunId, message: string): void {
    this.#spentIn.delete(runId);
    this.#spentIn.set(runId, message);
    const [oldest] = this.#spentIn.keys();
    if (oldest !== undefined && this.#spentIn.size > mostSpent) this.#spentIn.delete(oldest);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancelRetry?.();
    await this.#settleAll();
    if (this.#unsettled.size > 0) {
      this.#options.logger.error({ lost: this.#unsettled.size }, 'model calls were not counted in their budgets');
    }
  }

  #tryLater(end: () => Promise<void>): void {
    this.#unsettled.add(end);
    this.#cancelRetry ??= this.#options.clock.schedule(retryEveryMs, () => {
      void this.#settleAll().then(() => {
        this.#cancelRetry = undefined;
        for (const each of this.#unsettled) this.#tryLater(each);
      });
    });
  }

  /** Never rejects. */
  async #settleAll(): Promise<void> {
    for (const end of this.#unsettled) {
      try {
        await end();
        this.#unsettled.delete(end);
      } catch (thrown) {
        if (isPassing(thrown)) return; // told when it failed first; the others would fare no better
        this.#options.logger.error({ err: thrown }, 'a model call was not counted in its budget');
        this.#unsettled.delete(end);
      }
    }
  }
}

interface LedgerHoldOptions extends LedgerBudgetOptions {
  readonly accounts: readonly Account[];
  readonly reservation: Reservation;
  /** Makes a BudgetSpent of what the ledger refuses. */
  readonly refusing: <T>(asked: Promise<T>) => Promise<T>;
  /** Takes over what could not be ended. */
  readonly tryLater: (end: () => Promise<void>) => void;
}

/** Does one thing after the other: a reservation is renewed, extended and settled by several at a time otherwise. */
class LedgerHold implements BudgetHold {
  readonly #options: LedgerHoldOptions;
  readonly #queue = new SerialQueue();
  #cancelRenewal: () => void = () => undefined;
  #isOver = false;

  constructor(options: LedgerHoldOptions) {
    this.#options = options;
    this.#renewLater();
  }

  async extend(more: ModelAmount): Promise<void> {
    const { reservation, accounts, refusing } = this.#options;
    await refusing(
      this.#queue.run(async () => await reservation.extend({ expiresInMs, more: charges(accounts, more) })),
    );
  }

  async settle(actual: ModelAmount): Promise<void> {
    const { reservation, accounts } = this.#options;
    await this.#end(async () => await reservation.settle(charges(accounts, actual)));
  }

  async release(): Promise<void> {
    await this.#end(async () => await this.#options.reservation.release());
  }

  async #end(work: () => Promise<void>): Promise<void> {
    this.#isOver = true;
    this.#cancelRenewal();
    try {
      await this.#queue.run(work);
    } catch (thrown) {
      if (isPassing(thrown)) this.#options.tryLater(work);
      throw thrown;
    }
  }

  #renewLater(): void {
    this.#cancelRenewal = this.#options.clock.schedule(renewEveryMs, () => void this.#queue.run(() => this.#renew()));
  }

  /** Never rejects. */
  async #renew(): Promise<void> {
    if (this.#isOver) return;
    try {
      await this.#options.reservation.extend({ expiresInMs });
    } catch (err) {
      this.#options.logger.warn({ err }, 'the room of a model call could not be renewed');
    }
    if (!this.#isOver) this.#renewLater();
  }
}

function accountsOf({ userId, agentId, conversationId }: ModelCaller): readonly Account[] {
  const accounts = [userAccount(userId), agentAccount(agentId)];
  return conversationId === null ? accounts : [...accounts, conversationAccount(conversationId)];
}

function charges(accounts: readonly Account[], { tokens, costMicros }: ModelAmount): readonly Charge[] {
  return accounts.flatMap((account) => [
    { account, dimension: 'tokens' as const, amount: tokens },
    { account, dimension: 'cost' as const, amount: costMicros },
  ]);
}

function isPassing(thrown: unknown): boolean {
  return thrown instanceof CaissonError && thrown.code === 'STORAGE_UNAVAILABLE';
}

/** What is thrown of it: everything else as it is. */
function budgetSpent(thrown: unknown): unknown {
  if (!(thrown instanceof CaissonError) || thrown.code !== 'QUOTA_EXCEEDED') return thrown;
  const { resetsAt } = thrown.details;
  return new BudgetSpent(`${thrown.message} ${thrown.hint}`, {
    resetsAt: typeof resetsAt === 'number' ? resetsAt : null,
    cause: thrown,
  });
}
