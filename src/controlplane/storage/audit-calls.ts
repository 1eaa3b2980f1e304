import type { Kysely, Selectable } from 'kysely';
import type { OpenCall } from '../audit/audit-store.ts';
import { compiledQuery } from './compiled-query.ts';
import type { Database } from './database.ts';
import { fromJson, toJson } from './json-text.ts';

const insertOne = compiledQuery<Selectable<Database['audit_open']>, unknown>((db, value) =>
  db.insertInto('audit_open').values({ id: value('id'), at: value('at'), call: value('call') }),
);
const removeOne = compiledQuery<Pick<OpenCall, 'id'>, unknown>((db, value) =>
  db.deleteFrom('audit_open').where('id', '=', value('id')),
);

export async function open(db: Kysely<Database>, { id, at, call }: OpenCall): Promise<void> {
  await insertOne(db, { id, at, call: toJson(call) });
}

export async function close(db: Kysely<Database>, id: number): Promise<void> {
  await removeOne(db, { id });
}

export async function list(db: Kysely<Database>): Promise<readonly OpenCall[]> {
  const rows = await db.selectFrom('audit_open').selectAll().where('id', '>', 0).orderBy('id').execute();
  return rows.map(({ id, at, call }) => ({ id, at, call: fromJson(call) }));
}
