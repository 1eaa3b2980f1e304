import type { Insertable, Kysely } from 'kysely';
import type { AuditBatch, ClockWatch, StoredLink } from '../audit/audit-store.ts';
import { canonicalJson } from '../audit/canonical-json.ts';
import { type ChainHead, genesis } from '../audit/chain.ts';
import * as calls from './audit-calls.ts';
import { compiledQuery } from './compiled-query.ts';
import type { Database } from './database.ts';

export async function head(db: Kysely<Database>): Promise<ChainHead | undefined> {
  const said = await db.selectFrom('audit_head').select(['seq', 'hash']).where('id', '=', 1).executeTakeFirst();
  const last = await db
    .selectFrom('audit_records')
    .select('seq')
    .where('seq', '>', 0)
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (last === undefined || (said !== undefined && last.seq <= said.seq)) return said;
  return { seq: last.seq, hash: said?.hash ?? genesis.hash };
}

const insertOne = compiledQuery<Insertable<Database['audit_records']>, unknown>((db, value) =>
  db.insertInto('audit_records').values({
    seq: value('seq'),
    at: value('at'),
    user_id: value('user_id'),
    agent_id: value('agent_id'),
    action: value('action'),
    body: value('body'),
    hash: value('hash'),
  }),
);
const setHead = compiledQuery<ChainHead, unknown>((db, value) =>
  db
    .insertInto('audit_head')
    .values({ id: 1, seq: value('seq'), hash: value('hash'), pruned_through: 0 })
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ seq: value('seq'), hash: value('hash') })),
);

/** Needs a transaction. */
export async function append(
  db: Kysely<Database>,
  { opens, records, closes, pruneThrough }: AuditBatch,
): Promise<void> {
  for (const call of opens) await calls.open(db, call);
  // One at a time: a statement for each number of rows would crowd out the others that are kept.
  for (const { record, body, hash } of records) {
    const { seq, at, userId, agentId, action } = record;
    await insertOne(db, { seq, at, user_id: userId, agent_id: agentId, action, body, hash });
  }
  for (const id of closes) await calls.close(db, id);
  const last = records.at(-1);
  if (last === undefined) return;
  await setHead(db, { seq: last.record.seq, hash: last.hash });
  if (pruneThrough === null) return;
  await db.updateTable('audit_head').set({ pruned_through: pruneThrough }).where('id', '=', 1).execute();
  await db.deleteFrom('audit_records').where('seq', '<=', pruneThrough).execute();
}

export async function readLinks(db: Kysely<Database>, after: number, limit: number): Promise<readonly StoredLink[]> {
  const rows = await db
    .selectFrom('audit_records')
    .selectAll()
    .where('seq', '>', after)
    .orderBy('seq')
    .limit(limit)
    .execute();
  return rows.map(({ seq, at, user_id: userId, agent_id: agentId, action, body, hash }) => {
    return { seq, hash, body, keys: canonicalJson({ at, userId, agentId, action }) };
  });
}

export async function findLastBody(db: Kysely<Database>, action: string): Promise<string | undefined> {
  const row = await db
    .selectFrom('audit_records')
    .select('body')
    .where('action', '=', action)
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.body;
}

export async function lastBefore(db: Kysely<Database>, time: number, limit: number): Promise<ChainHead | undefined> {
  const rows = await db
    .selectFrom('audit_records')
    .select(['seq', 'hash', 'at'])
    .where('seq', '>', 0)
    .orderBy('seq')
    .limit(limit)
    .execute();
  const kept = rows.findIndex(({ at }) => at >= time);
  const last = rows[(kept === -1 ? rows.length : kept) - 1];
  return last && { seq: last.seq, hash: last.hash };
}

export async function clockWatch(db: Kysely<Database>): Promise<ClockWatch | undefined> {
  const row = await db.selectFrom('audit_clock').select(['at', 'ran_ms']).where('id', '=', 1).executeTakeFirst();
  return row && { at: row.at, ranMs: row.ran_ms };
}

export async function noteClockWatch(db: Kysely<Database>, { at, ranMs }: ClockWatch): Promise<void> {
  const row = { at, ran_ms: ranMs };
  await db
    .insertInto('audit_clock')
    .values({ id: 1, ...row })
    .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
    .execute();
}
