import { once } from 'node:events';
import type { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';

/** Of the log: 16 MiB. A turn writes some 80 pages of 4 KiB, most of them again and again: to wait is to move less. */
const pagesToMove = 4_000;

/** How many commits there are between two looks at how long the log is. A look takes 4 µs. */
const commitsBetweenLooks = 64;

/**
 * Plain JavaScript, so that a thread begins at once. What is committed during a pass is left to the next one; when nothing
 * was, the next commit begins the log anew.
 */
const program = `
const { DatabaseSync } = require('node:sqlite');
const database = new DatabaseSync(require('node:worker_threads').workerData);
const pass = database.prepare('pragma wal_checkpoint(passive)');
for (let left = 8, before; left > 0; left--) {
  const { log } = pass.get();
  if (log === before) break;
  before = log;
}
database.close();
`;

/**
 * Moves the write-ahead log into the database beside the main thread, where it would hold up the whole process while the disk
 * works: 32 to 58 ms for 32 MiB, on a busy machine. Commits and reads go on meanwhile. A thread lives for one checkpoint. One that fails leaves
 * the log as it is, to be moved by a later one, or by SQLite's own (`openSqlite`).
 */
export class SqliteCheckpoints {
  readonly #file: string;
  readonly #database: DatabaseSync;
  #commits = 0;
  #running: Promise<unknown> | undefined;

  constructor(file: string, database: DatabaseSync) {
    this.#file = file;
    this.#database = database;
  }

  /** To be called after each commit. */
  committed(): void {
    this.#commits += 1;
    if (this.#commits < commitsBetweenLooks || this.#running !== undefined) return;
    this.#commits = 0;
    if (this.#unmovedPages() >= pagesToMove) this.#running = this.#checkpoint();
  }

  /** Resolves when no checkpoint is under way; none may be begun after it. */
  async close(): Promise<void> {
    await this.#running;
  }

  #unmovedPages(): number {
    const { log, checkpointed } = this.#database.prepare('pragma wal_checkpoint(noop)').get() ?? {};
    return Number(log) - Number(checkpointed);
  }

  /** Never rejects. */
  async #checkpoint(): Promise<void> {
    try {
      const worker = new Worker(program, { eval: true, workerData: this.#file, execArgv: [], env: {} });
      worker.unref();
      await once(worker, 'exit');
    } catch {
      // A disk that is full, or no room for a thread: commits tell of it themselves, and the log keeps them.
    }
    this.#running = undefined;
  }
}
