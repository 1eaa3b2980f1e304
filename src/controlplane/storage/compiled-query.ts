import { type Compilable, type CompiledQuery, type Kysely, type RawBuilder, sql } from 'kysely';
import type { Database } from './database.ts';

/** Stands in a compiled query for the value of that name. */
class Placeholder {
  readonly name: string;

  constructor(name: string) {
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
  /** By the adapter of its database, which the transactions of one have in common. */
  const compiled = new WeakMap<object, CompiledQuery<Row>>();
  return async (db, values) => {
    const { adapter } = db.getExecutor();
    const query = compiled.get(adapter) ?? build(db, (name) => sql`${new Placeholder(name)}`).compile();
    compiled.set(adapter, query);
    const given = new Map<string, unknown>(Object.entries(values));
    const parameters = query.parameters.map((value) => (value instanceof Placeholder ? given.get(value.name) : value));
    const { rows } = await db.executeQuery<Row>({ ...query, parameters });
    return rows;
  };
}
