import { AsyncLocalStorage } from 'node:async_hooks';
import { type Kysely, sql, type Transaction } from 'kysely';
import { CaissonError } from '../../kernel/errors.ts';
import type { Database } from './database.ts';
import { GroupFlush } from './group-flush.ts';
import { SharedTransactions } from './shared-transactions.ts';

/** It needs room as any other write does, and changes nothing. */
async function rewriteFirstPage(tx: Transaction<Database>): Promise<void> {
  await sql`pragma user_version = 0`.execute(tx);
}

/**
 * The database as the stores reach it. Transactions run one at a time, in the order of asking; a read outside waits for
 * the one that is open. So a call from inside a transaction that is not the transaction's own would wait for itself:
 * it is refused with INTERNAL. After `close` every call is refused with DRAINING.
 */
export class StorageAccess {
  readonly #db: Kysely<Database>;
  readonly #disk: GroupFlush;
  readonly #shared = new SharedTransactions(this);
  readonly #current = new AsyncLocalStorage<{ open: boolean }>();
  #closed = false;
  #isRefused = false;

  /** `sync` puts every commit so far onto the disk. Default: for a database whose commits are there already. */
  constructor(db: Kysely<Database>, sync: () => Promise<void> = async () => undefined) {
    this.#db = db;
    this.#disk = new GroupFlush(sync);
  }

  /** For reads, and for writes of one statement. */
  get db(): Kysely<Database> {
    this.check();
    return this.#db;
  }

  /** All that `work` wrote outlives the process when this resolves; when it rejects, nothing is written. */
  async transaction<T>(work: (tx: Transaction<Database>) => Promise<T>): Promise<T> {
    this.check();
    const scope = { open: true };
    try {
      const result = await this.#db.transaction().execute((tx) => this.#current.run(scope, () => work(tx)));
      this.#isRefused = false;
      return result;
    } catch (thrown) {
      if (thrown instanceof CaissonError && thrown.code === 'STORAGE_UNAVAILABLE') this.#isRefused = true;
      throw thrown;
    } finally {
      scope.open = false;
    }
  }

  /** As `transaction`, for short work: what others ask for at the same time is stored with it (`SharedTransactions`). */
  async sharedTransaction<T>(work: (tx: Transaction<Database>) => Promise<T>): Promise<T> {
    return await this.#shared.run(work);
  }

  /** Resolves, never rejects, when the disk has failed for good. */
  get failed(): Promise<CaissonError> {
    return this.#disk.failed;
  }

  /** Rejects while writes are refused, or when the disk has failed. After a refusal it finds out by a write of its own: nobody else may. */
  async checkHealth(): Promise<void> {
    if (this.#isRefused) await this.transaction(rewriteFirstPage);
    await this.flushed();
  }

  /** Resolves when every commit before the call is on the disk. Rejects for ever once that has failed. */
  async flushed(): Promise<void> {
    this.check();
    await this.#disk.flushed();
  }

  /** Waits for what was asked before. */
  async close(): Promise<void> {
    this.check();
    this.#closed = true;
    await this.#db.connection().execute(async () => undefined);
    try {
      await this.#disk.flushed();
    } finally {
      await this.#db.destroy();
    }
  }

  /** Throws where a transaction would be refused. */
  check(): void {
    if (this.#closed) throw new CaissonError('DRAINING', 'The store is closed.');
    if (this.#current.getStore()?.open === true) {
      throw new CaissonError(
        'INTERNAL',
        'The store was called from inside a transaction, where it would wait for itself.',
        {
          hint: "Use the transaction's own methods.",
        },
      );
    }
  }
}
