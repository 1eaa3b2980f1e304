import { CompiledQuery, type Transaction } from 'kysely';
import type { Database } from './database.ts';
import type { StorageAccess } from './storage-access.ts';

/** The most that one transaction takes, so that it does not hold up the process for long. */
const mostWorks = 32;

const begin = CompiledQuery.raw('savepoint work');
const end = CompiledQuery.raw('release work');
const undo = CompiledQuery.raw('rollback to work');

interface Waiting {
  /** Does its work in the transaction, and returns what tells its caller once that is stored. */
  readonly work: (tx: Transaction<Database>) => Promise<() => void>;
  readonly reject: (reason: unknown) => void;
}

/**
 * Transactions of many callers whose work is short. Those that are asked for at the same time share one, since to begin and
 * to commit takes longer than the work. Each is all or nothing by itself: what one throws undoes its own work only. A
 * statement that fails, or a commit, rejects all that share it. Done one after the other, in the order of asking; holds no
 * more than callers wait.
 */
export class SharedTransactions {
  readonly #access: Pick<StorageAccess, 'transaction' | 'check'>;
  readonly #waiting: Waiting[] = [];
  #isRunning = false;

  constructor(access: Pick<StorageAccess, 'transaction' | 'check'>) {
    this.#access = access;
  }

  /** As `StorageAccess.transaction`. */
  async run<T>(work: (tx: Transaction<Database>) => Promise<T>): Promise<T> {
    this.#access.check();
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#waiting.push({ work: async (tx) => await attempt(tx, work, { resolve, reject }), reject });
    if (!this.#isRunning) void this.#runAll();
    return await promise;
  }

  /** Never rejects. */
  async #runAll(): Promise<void> {
    this.#isRunning = true;
    while (this.#waiting.length > 0) {
      const taken: Waiting[] = [];
      try {
        const stored = await this.#access.transaction(async (tx) => {
          const stored: (() => void)[] = [];
          for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
            taken.push(next);
            stored.push(await next.work(tx));
            if (taken.length === mostWorks) break;
          }
          return stored;
        });
        for (const tell of stored) tell();
      } catch (thrown) {
        if (taken.length === 0) taken.push(...this.#waiting.splice(0)); // the transaction could not begin
        for (const { reject } of taken) reject(thrown);
      }
    }
    this.#isRunning = false;
  }
}

async function attempt<T>(
  tx: Transaction<Database>,
  work: (tx: Transaction<Database>) => Promise<T>,
  { resolve, reject }: { readonly resolve: (result: T) => void; readonly reject: (reason: unknown) => void },
): Promise<() => void> {
  await tx.executeQuery(begin);
  try {
    const result = await work(tx);
    await tx.executeQuery(end);
    return () => resolve(result);
  } catch (thrown) {
    // After a statement that failed these fail as well, and so does the transaction.
    await tx.executeQuery(undo);
    await tx.executeQuery(end);
    return () => reject(thrown);
  }
}
