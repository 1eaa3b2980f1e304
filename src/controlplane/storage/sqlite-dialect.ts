import { type DatabaseConnection, SqliteAdapter, SqliteDialect, SqliteDriver } from 'kysely';
import { FifoLock } from './fifo-lock.ts';
import type { SqliteCheckpoints } from './sqlite-checkpoints.ts';
import type { SqliteConnection } from './sqlite-connection.ts';

/** Kysely's SQLite dialect over one `SqliteConnection`. */
export class NodeSqliteDialect extends SqliteDialect {
  readonly #connection: SqliteConnection;
  readonly #checkpoints: SqliteCheckpoints;

  constructor(connection: SqliteConnection, checkpoints: SqliteCheckpoints) {
    super({ database: connection });
    this.#connection = connection;
    this.#checkpoints = checkpoints;
  }

  override createDriver(): SqliteDriver {
    return new NodeSqliteDriver(this.#connection, this.#checkpoints);
  }

  override createAdapter(): SqliteAdapter {
    return new NodeSqliteAdapter();
  }
}

/** Lends its one connection to one transaction or query at a time, in the order of asking. */
class NodeSqliteDriver extends SqliteDriver {
  readonly #connection: SqliteConnection;
  readonly #checkpoints: SqliteCheckpoints;
  readonly #lock = new FifoLock();

  constructor(connection: SqliteConnection, checkpoints: SqliteCheckpoints) {
    super({ database: connection });
    this.#connection = connection;
    this.#checkpoints = checkpoints;
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    await this.#lock.acquire();
    return await super.acquireConnection();
  }

  override async releaseConnection(): Promise<void> {
    this.#lock.release();
  }

  override async beginTransaction(): Promise<void> {
    this.#connection.begin();
  }

  override async commitTransaction(): Promise<void> {
    this.#connection.commit();
    this.#checkpoints.committed();
  }

  override async rollbackTransaction(): Promise<void> {
    this.#connection.rollback();
  }

  override async destroy(): Promise<void> {
    await this.#checkpoints.close();
    await super.destroy();
  }
}

class NodeSqliteAdapter extends SqliteAdapter {
  /** The driver queues by itself: Kysely's own lock wakes every waiter at each release, and keeps no order. */
  override get supportsMultipleConnections(): boolean {
    return true;
  }

  /** SQLite rolls back schema changes like any other. */
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}
