import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import type { SqliteDatabase, SqliteStatement } from 'kysely';
import { translateSqliteError } from './sqlite-errors.ts';

/** Prepared statements that are kept: more than the store has, with room for batches of different sizes. */
const maxStatements = 256;

/**
 * A `node:sqlite` database as Kysely's SQLite dialect wants it. Keeps prepared statements, the least recently used go
 * first. A statement that fails in a transaction dooms it: every later one fails with the same error, and so does the
 * commit. SQLite by itself would go on, and outside the transaction when it rolled back because a disk was full.
 */
export class SqliteConnection implements SqliteDatabase {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, SqliteStatement>();
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  #transaction: 'none' | 'open' | { readonly doomedBy: unknown } = 'none';

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#begin = database.prepare('begin immediate');
    this.#commit = database.prepare('commit');
  }

  prepare(sql: string): SqliteStatement {
    const kept = this.#statements.get(sql);
    const statement = kept ?? this.#attempt(() => this.#wrap(this.#database.prepare(sql), sql));
    if (kept !== undefined) this.#statements.delete(sql);
    this.#statements.set(sql, statement);
    if (this.#statements.size > maxStatements) {
      for (const oldest of this.#statements.keys()) {
        this.#statements.delete(oldest);
        break;
      }
    }
    return statement;
  }

  /** Takes the write lock at once, so that no statement after it can find the database busy. */
  begin(): void {
    this.#attempt(() => this.#begin.run());
    this.#transaction = 'open';
  }

  commit(): void {
    this.#attempt(() => this.#commit.run());
    this.#transaction = 'none';
  }

  rollback(): void {
    this.#transaction = 'none';
    if (this.#database.isTransaction) this.#attempt(() => this.#database.exec('rollback'));
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  #wrap(statement: StatementSync, sql: string): SqliteStatement {
    const columns = statement.columns().map(({ name }) => name);
    const readAll = sql.includes('*') ? statement.all.bind(statement) : rowReader(statement, columns);
    return {
      reader: columns.length > 0,
      all: (parameters) => this.#attempt(() => readAll(...parameters.map(toInput))),
      run: (parameters) => this.#attempt(() => statement.run(...parameters.map(toInput))),
      iterate: () => {
        throw new TypeError('A statement is kept for others, so it cannot be read row by row.');
      },
    };
  }

  #attempt<T>(action: () => T): T {
    if (typeof this.#transaction === 'object') throw this.#transaction.doomedBy;
    try {
      return action();
    } catch (thrown) {
      const error = translateSqliteError(thrown);
      if (this.#transaction === 'open') this.#transaction = { doomedBy: error };
      throw error;
    }
  }
}

/**
 * Reads rows as plain objects. Node's own have no prototype, and take twice as long to make and to use. Only for a statement that names its
 * columns: which ones `*` stands for changes with the schema, and the statement is kept.
 */
function rowReader(
  statement: StatementSync,
  columns: readonly string[],
): (...parameters: SQLInputValue[]) => unknown[] {
  statement.setReturnArrays(true);
  const blank: Readonly<Record<string, unknown>> = Object.fromEntries(columns.map((column) => [column, null]));
  const toRow = (values: unknown): unknown => {
    if (!Array.isArray(values)) throw new TypeError('A row is not a list of values.');
    const row: Record<string, unknown> = { ...blank }; // of the right shape at once: it never has to grow
    let at = 0;
    for (const column of columns) row[column] = values[at++];
    return row;
  };
  return (...parameters) => statement.all(...parameters).map(toRow);
}

function toInput(value: unknown): SQLInputValue {
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint')
    return value;
  throw new TypeError(`A ${typeof value} cannot be stored.`);
}
