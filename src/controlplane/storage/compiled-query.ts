import { type Compilable, type CompiledQuery, type Kysely, type RawBuilder, sql } from 'kysely';
import type { Database } from './database.ts';

/** Stands in a compiled query for the value of that name, of one of the rows that it is asked with. */
class Placeholder {
  readonly row: number;
  readonly name: string;

  constructor(row: number, name: string) {
    this.row = row;
    this.name = name;
  }
}

/** Gives the place of a value in the query. */
type ValueOf<Values> = <Name extends keyof Values & string>(name: Name) => RawBuilder<Values[Name]>;

/**
 * A query that is built and compiled once, at its first use, and then asked with other values each time. For those that
 * every turn asks dozens of times: to build and compile one takes five times as long as to ask it. `build` sees the
 * names of the values only, and so cannot make the query depend on what they are.
 */
export function compiledQuery<Values extends object, Row>(
  build: (db: Kysely<Database>, value: ValueOf<Values>) => Compilable<Row>,
): (db: Kysely<Database>, values: Values) => Promise<readonly Row[]> {
  const ask = compiledOnce((db) => build(db, (name) => sql`${new Placeholder(0, name)}`));
  return async (db, values) => await ask(db, [values]);
}

/** The most that one query takes. What asks for more is several queries. */
const mostRows = 16;

/**
 * The same for many rows alike: one query for all, compiled once for each number of them. More than 16 are asked 16 at a
 * time. `build` is given for each row what gives the places of its values.
 */
export function compiledRowsQuery<Values extends object, Row>(
  build: (db: Kysely<Database>, rows: readonly ValueOf<Values>[]) => Compilable<Row>,
): (db: Kysely<Database>, rows: readonly Values[]) => Promise<readonly Row[]> {
  const byCount = Array.from({ length: mostRows + 1 }, (_, count) =>
    compiledOnce<Row>((db) => {
      const places = Array.from({ length: count }, (_each, row): ValueOf<Values> => {
        return (name) => sql`${new Placeholder(row, name)}`;
      });
      return build(db, places);
    }),
  );
  return async (db, rows) => {
    const answer: Row[] = [];
    for (let from = 0; from < rows.length; from += mostRows) {
      const some = rows.slice(from, from + mostRows);
      answer.push(...((await byCount[some.length]?.(db, some)) ?? []));
    }
    return answer;
  };
}

function compiledOnce<Row>(
  build: (db: Kysely<Database>) => Compilable<Row>,
): (db: Kysely<Database>, rows: readonly object[]) => Promise<readonly Row[]> {
  /** By the adapter of its database, which the transactions of one have in common. */
  const compiled = new WeakMap<object, CompiledQuery<Row>>();
  return async (db, given) => {
    const executor = db.getExecutor();
    const { adapter } = executor;
    const query = compiled.get(adapter) ?? build(db).compile();
    compiled.set(adapter, query);
    const parameters = query.parameters.map((value): unknown =>
      value instanceof Placeholder ? Reflect.get(given[value.row] ?? {}, value.name) : value,
    );
    // As `db.executeQuery` does, without what it does for plugins: there are none.
    const { rows } = await executor.provideConnection(
      async (connection) => await connection.executeQuery<Row>({ ...query, parameters }),
    );
    return rows;
  };
}
