import { type Kysely, sql } from 'kysely';
import type { Page, PageRequest } from '../../agents/ports.ts';
import type { AuditFilter } from '../audit/audit-store.ts';
import type { AuditRecord } from '../audit/record.ts';
import type { Database } from './database.ts';
import { fromJson } from './json-text.ts';
import { cursorAfter, startPage } from './pages.ts';

/** Rows that one page looks at: some 10 ms. */
const mostLookedAt = 10_000;

/**
 * Walks one index downwards, the one that promises the fewest rows, and looks at the other fields in each row.
 * Needs a transaction: its statements must see the same rows.
 */
export async function search(db: Kysely<Database>, filter: AuditFilter, page: PageRequest): Promise<Page<AuditRecord>> {
  const start = startPage('audit', page);
  const [least, most] = await boundsOf(db, filter);
  const before = Math.min(start.before, most + 1);
  const walk = () => {
    const rows = db.selectFrom('audit_records').where('seq', '<', before).where('seq', '>=', least);
    if (filter.agentId !== undefined) return rows.where('agent_id', '=', filter.agentId);
    if (filter.userId !== undefined) return rows.where('user_id', '=', filter.userId);
    if (filter.action !== undefined) return rows.where('action', '=', filter.action);
    return rows;
  };
  const edge = await walk()
    .select('seq')
    .orderBy('seq', 'desc')
    .offset(mostLookedAt - 1)
    .limit(1)
    .executeTakeFirst();
  // The plus keeps the planner from another index, whose order would be another.
  const matches = sql<boolean>`
    (${filter.userId ?? null} is null or +user_id = ${filter.userId ?? null})
    and (${filter.action ?? null} is null or +action = ${filter.action ?? null})
    and +at >= ${filter.since ?? 0} and +at < ${filter.until ?? Number.MAX_SAFE_INTEGER}`;
  const rows = await walk()
    .select(['seq as ordinal', 'body'])
    .where('seq', '>=', edge?.seq ?? 0)
    .where(matches)
    .orderBy('seq', 'desc')
    .limit(start.rows)
    .execute();
  const shown = rows.slice(0, start.rows - 1);
  const items = shown.map(({ body }) => fromJson(body));
  if (rows.length > shown.length || edge === undefined) return { items, nextCursor: cursorAfter('audit', shown, rows) };
  return { items, nextCursor: cursorAfter('audit', [{ ordinal: edge.seq }], [edge, edge]) };
}

/** The first and the last record that can be of this time. */
async function boundsOf(db: Kysely<Database>, { since, until }: AuditFilter): Promise<readonly [number, number]> {
  let [least, most] = [0, Number.MAX_SAFE_INTEGER - 1];
  if (since !== undefined) {
    const row = await db
      .selectFrom('audit_records')
      .select(({ fn }) => fn.min('seq').as('seq'))
      .where('at', '>=', since)
      .executeTakeFirst();
    least = row?.seq ?? Number.MAX_SAFE_INTEGER;
  }
  if (until !== undefined) {
    const row = await db
      .selectFrom('audit_records')
      .select(({ fn }) => fn.max('seq').as('seq'))
      .where('at', '<', until)
      .executeTakeFirst();
    most = row?.seq ?? 0;
  }
  return [least, most];
}
