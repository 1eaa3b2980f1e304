import { type Kysely, type Selectable, sql } from 'kysely';
import type { Page, PageRequest } from '../../agents/ports.ts';
import type { AgentId, UserId } from '../../kernel/ids.ts';
import {
  dayMs,
  type EgressLogEntry,
  type EgressSum,
  type EgressUsage,
  keepUsageDays,
  mostEntries,
  mostEntriesAnHour,
  mostUsageRows,
  type OpenEntries,
  withoutPlace,
} from '../egress/log/egress-log.ts';
import type { Database, EgressLogTable, EgressUsageTable } from './database.ts';
import { fromJson, toJson } from './json-text.ts';
import { nextOrdinal } from './ordinals.ts';
import { startPage, toPage } from './pages.ts';

/** Needs a transaction. */
export async function add(db: Kysely<Database>, entries: readonly EgressLogEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const byAgent = Map.groupBy(entries, ({ agentId }) => agentId);
  for (const [agentId, own] of byAgent) {
    const agent = await db.selectFrom('agents').select('owner_id').where('id', '=', agentId).executeTakeFirst();
    if (agent === undefined) continue; // deleted meanwhile
    for (const entry of own) {
      await addEntry(db, entry);
      await addUsage(db, entry, agent.owner_id);
    }
    await prune(db, agentId);
  }
}

/** Needs a transaction. */
export async function note(db: Kysely<Database>, open: OpenEntries): Promise<void> {
  for (const [agentId, entries] of open) {
    await db.deleteFrom('egress_open').where('agent_id', '=', agentId).execute();
    if (entries.length === 0) continue;
    const agent = await db.selectFrom('agents').select('id').where('id', '=', agentId).executeTakeFirst();
    if (agent === undefined) continue; // deleted meanwhile
    await db
      .insertInto('egress_open')
      .values({ agent_id: agentId, entries: toJson(entries) })
      .execute();
  }
}

/** Needs a transaction. */
export async function addLeftOpen(db: Kysely<Database>): Promise<number> {
  const rows = await db.deleteFrom('egress_open').returning('entries').execute();
  const left = rows.flatMap(({ entries }) => fromJson(entries));
  await add(db, left);
  return left.reduce((sum, { connections }) => sum + connections, 0);
}

export async function list(
  db: Kysely<Database>,
  { agentId, host }: { readonly agentId: AgentId; readonly host: string | null },
  page: PageRequest,
): Promise<Page<EgressLogEntry>> {
  const start = startPage('egress_log', page);
  const all = db
    .selectFrom('egress_log')
    .selectAll()
    .where('agent_id', '=', agentId)
    .where('ordinal', '<', start.before)
    .orderBy('ordinal', 'desc')
    .limit(start.rows);
  const rows = await (host === null ? all : all.where('host', '=', host)).execute();
  return toPage('egress_log', start, rows, toEntry);
}

export async function usage(
  db: Kysely<Database>,
  filter: { readonly agentId: AgentId } | { readonly ownerId: UserId | null },
  since: number,
): Promise<readonly EgressUsage[]> {
  const all = db
    .selectFrom('egress_usage')
    .selectAll()
    .where('day', '>=', since)
    .orderBy('day', 'desc')
    .orderBy('agent_id')
    .limit(mostUsageRows);
  if ('agentId' in filter) return (await all.where('agent_id', '=', filter.agentId).execute()).map(toUsage);
  const wanted = filter.ownerId === null ? all : all.where('owner_id', '=', filter.ownerId);
  return (await wanted.execute()).map(toUsage);
}

export async function sumUsage(db: Kysely<Database>, since: number): Promise<readonly EgressSum[]> {
  const rows = await db
    .selectFrom('egress_usage')
    .select(({ fn }) => [
      'owner_id',
      fn.sum<number | string>('sent_bytes').as('sent'),
      fn.sum<number | string>('received_bytes').as('received'),
    ])
    .where('day', '>=', since)
    .groupBy('owner_id')
    .execute();
  // PostgreSQL sums in text
  return rows.map((row) => ({
    ownerId: row.owner_id,
    sentBytes: Number(row.sent),
    receivedBytes: Number(row.received),
  }));
}

async function addEntry(db: Kysely<Database>, entry: EgressLogEntry): Promise<void> {
  if (await addToPresent(db, entry)) return;
  const { count } = await db
    .selectFrom('egress_log')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('agent_id', '=', entry.agentId)
    .where('hour', '=', entry.hour)
    .executeTakeFirstOrThrow();
  const kept = count < mostEntriesAnHour ? entry : withoutPlace(entry);
  if (kept !== entry && (await addToPresent(db, kept))) return;
  await db
    .insertInto('egress_log')
    .values({
      ordinal: nextOrdinal('egress_log'),
      agent_id: kept.agentId,
      hour: kept.hour,
      host: kept.host,
      port: kept.port,
      decision: kept.decision,
      outcome: kept.outcome,
      rule: kept.rule ?? '',
      reason: kept.reason,
      connections: kept.connections,
      with_secret: kept.withSecret,
      sent_bytes: kept.sentBytes,
      received_bytes: kept.receivedBytes,
      duration_ms: kept.durationMs,
      first_at: kept.firstAt,
      last_at: kept.lastAt,
    })
    .execute();
}

async function addToPresent(db: Kysely<Database>, entry: EgressLogEntry): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('egress_log')
    .set((eb) => ({
      reason: entry.reason,
      connections: eb('connections', '+', entry.connections),
      with_secret: eb('with_secret', '+', entry.withSecret),
      sent_bytes: eb('sent_bytes', '+', entry.sentBytes),
      received_bytes: eb('received_bytes', '+', entry.receivedBytes),
      duration_ms: eb('duration_ms', '+', entry.durationMs),
      first_at: sql<number>`case when first_at < ${entry.firstAt} then first_at else ${entry.firstAt} end`,
      last_at: sql<number>`case when last_at > ${entry.lastAt} then last_at else ${entry.lastAt} end`,
    }))
    .where('agent_id', '=', entry.agentId)
    .where('hour', '=', entry.hour)
    .where('host', '=', entry.host)
    .where('port', '=', entry.port)
    .where('decision', '=', entry.decision)
    .where('outcome', '=', entry.outcome)
    .where('rule', '=', entry.rule ?? '')
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

async function addUsage(db: Kysely<Database>, entry: EgressLogEntry, ownerId: UserId): Promise<void> {
  const denied = entry.decision === 'deny' ? entry.connections : 0;
  const day = Math.floor(entry.hour / dayMs) * dayMs;
  const { numUpdatedRows } = await db
    .updateTable('egress_usage')
    .set((eb) => ({
      connections: eb('connections', '+', entry.connections),
      denied: eb('denied', '+', denied),
      sent_bytes: eb('sent_bytes', '+', entry.sentBytes),
      received_bytes: eb('received_bytes', '+', entry.receivedBytes),
    }))
    .where('agent_id', '=', entry.agentId)
    .where('day', '=', day)
    .executeTakeFirst();
  if (numUpdatedRows > 0n) return;
  await db
    .insertInto('egress_usage')
    .values({
      agent_id: entry.agentId,
      owner_id: ownerId,
      day,
      connections: entry.connections,
      denied,
      sent_bytes: entry.sentBytes,
      received_bytes: entry.receivedBytes,
    })
    .execute();
  await forgetUsage(db);
}

async function forgetUsage(db: Kysely<Database>): Promise<void> {
  const over = await db
    .selectFrom('egress_usage')
    .select('day')
    .distinct()
    .orderBy('day', 'desc')
    .offset(keepUsageDays)
    .limit(1)
    .executeTakeFirst();
  if (over !== undefined) await db.deleteFrom('egress_usage').where('day', '<=', over.day).execute();
}

async function prune(db: Kysely<Database>, agentId: AgentId): Promise<void> {
  const first = await db
    .selectFrom('egress_log')
    .select('ordinal')
    .where('agent_id', '=', agentId)
    .orderBy('ordinal', 'desc')
    .offset(mostEntries)
    .limit(1)
    .executeTakeFirst();
  if (first === undefined) return;
  await db.deleteFrom('egress_log').where('agent_id', '=', agentId).where('ordinal', '<=', first.ordinal).execute();
}

function toEntry(row: Selectable<EgressLogTable>): EgressLogEntry {
  return {
    agentId: row.agent_id,
    hour: row.hour,
    host: row.host,
    port: row.port,
    decision: row.decision,
    outcome: row.outcome,
    rule: row.rule === '' ? null : row.rule,
    reason: row.reason,
    connections: row.connections,
    withSecret: row.with_secret,
    sentBytes: row.sent_bytes,
    receivedBytes: row.received_bytes,
    durationMs: row.duration_ms,
    firstAt: row.first_at,
    lastAt: row.last_at,
  };
}

function toUsage(row: Selectable<EgressUsageTable>): EgressUsage {
  return {
    agentId: row.agent_id,
    ownerId: row.owner_id,
    day: row.day,
    connections: row.connections,
    denied: row.denied,
    sentBytes: row.sent_bytes,
    receivedBytes: row.received_bytes,
  };
}
