import type { Kysely } from 'kysely';
import type { AuditCall } from '../audit/record.ts';
import type { Database } from './database.ts';
import { fromJson, toJson } from './json-text.ts';

interface OpenCall {
  readonly id: number;
  readonly at: number;
  readonly call: AuditCall;
}

export async function open(db: Kysely<Database>, { id, at, call }: OpenCall): Promise<void> {
  await db
    .insertInto('audit_open')
    .values({ id, at, call: toJson(call) })
    .execute();
}

export async function close(db: Kysely<Database>, id: number): Promise<void> {
  await db.deleteFrom('audit_open').where('id', '=', id).execute();
}

export async function list(db: Kysely<Database>): Promise<readonly OpenCall[]> {
  const rows = await db.selectFrom('audit_open').selectAll().where('id', '>', 0).orderBy('id').execute();
  return rows.map(({ id, at, call }) => ({ id, at, call: fromJson(call) }));
}
