import type { Kysely, Selectable } from 'kysely';
import type { Agent, SandboxStatus } from '../../agents/agent.ts';
import type { AgentFilter, Page, PageRequest } from '../../agents/ports.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId, UserId } from '../../kernel/ids.ts';
import { compiledQuery } from './compiled-query.ts';
import type { AgentsTable, Database } from './database.ts';
import { fromJson, toJson } from './json-text.ts';
import { nextOrdinal } from './ordinals.ts';
import { type PageStart, startPage, toPage } from './pages.ts';
import * as shares from './shares.ts';

/** Those that a listing shows; the others are counters of the store. */
const columns = [
  'agents.id',
  'agents.ordinal',
  'agents.owner_id',
  'agents.name',
  'agents.harness',
  'agents.model',
  'agents.provider',
  'agents.limits',
  'agents.created_at',
  'agents.deleting',
  'agents.sandbox',
] as const;

type AgentRow = Omit<
  Selectable<AgentsTable>,
  'head_seq' | 'event_bytes' | 'lease_epoch' | 'sandbox_up' | 'history_bytes' | 'said_bytes'
>;

const byId = compiledQuery<{ id: AgentId }, AgentRow>((db, value) =>
  db.selectFrom('agents').select(columns).where('id', '=', value('id')),
);

const newest = compiledQuery<Pick<PageStart, 'before' | 'rows'>, AgentRow>((db, value) =>
  db
    .selectFrom('agents')
    .select(columns)
    .where('ordinal', '<', value('before'))
    .orderBy('ordinal', 'desc')
    .limit(value('rows')),
);
const newestOwn = compiledQuery<Pick<PageStart, 'before' | 'rows'> & { ownerId: UserId }, AgentRow>((db, value) =>
  db
    .selectFrom('agents')
    .select(columns)
    .where('owner_id', '=', value('ownerId'))
    .where('ordinal', '<', value('before'))
    .orderBy('ordinal', 'desc')
    .limit(value('rows')),
);
const newestShared = compiledQuery<Pick<PageStart, 'before' | 'rows'> & { userId: UserId }, AgentRow>((db, value) =>
  db
    .selectFrom('agent_shares')
    .innerJoin('agents', 'agents.id', 'agent_shares.agent_id')
    .select(columns)
    .where('agent_shares.user_id', '=', value('userId'))
    .where('agent_shares.agent_ordinal', '<', value('before'))
    .orderBy('agent_shares.agent_ordinal', 'desc')
    .limit(value('rows')),
);

export async function find(db: Kysely<Database>, id: AgentId): Promise<Agent | undefined> {
  const [row] = await byId(db, { id });
  return row && toAgent(row);
}

export async function findByName(db: Kysely<Database>, ownerId: UserId, name: string): Promise<Agent | undefined> {
  const row = await db
    .selectFrom('agents')
    .select(columns)
    .where('owner_id', '=', ownerId)
    .where('name', '=', name)
    .executeTakeFirst();
  return row && toAgent(row);
}

export async function list(
  db: Kysely<Database>,
  { visibleTo, among }: AgentFilter,
  page: PageRequest,
): Promise<Page<Agent>> {
  const start = startPage('agents', page);
  if (among !== null) return toPage('agents', start, await listAmong(db, { visibleTo, among }, start), toAgent);
  const { before, rows } = start;
  if (visibleTo === null) return toPage('agents', start, await newest(db, { before, rows }), toAgent);
  const own = await newestOwn(db, { ownerId: visibleTo, before, rows });
  const shared = await newestShared(db, { userId: visibleTo, before, rows });
  return toPage('agents', start, newestFirst([...own, ...shared], start), toAgent);
}

/** They are few: they are read whole. */
async function listAmong(
  db: Kysely<Database>,
  { visibleTo, among }: { readonly visibleTo: UserId | null; readonly among: readonly AgentId[] },
  start: PageStart,
): Promise<AgentRow[]> {
  const named = await db.selectFrom('agents').select(columns).where('id', 'in', among).execute();
  const seen: AgentRow[] = [];
  for (const row of named) {
    const isSeen = visibleTo === null || row.owner_id === visibleTo;
    if (isSeen || (await shares.find(db, row.id, visibleTo)) !== undefined) seen.push(row);
  }
  return newestFirst(seen, start);
}

function newestFirst(rows: readonly AgentRow[], start: PageStart): AgentRow[] {
  return rows
    .filter(({ ordinal }) => ordinal < start.before)
    .toSorted((one, other) => other.ordinal - one.ordinal)
    .slice(0, start.rows);
}

export async function listOwn(db: Kysely<Database>, ownerId: UserId): Promise<readonly Agent[]> {
  const rows = await db
    .selectFrom('agents')
    .select(columns)
    .where('owner_id', '=', ownerId)
    .orderBy('ordinal', 'desc')
    .execute();
  return rows.map(toAgent);
}

export async function count(db: Kysely<Database>, ownerId: UserId): Promise<number> {
  const { agents } = await db
    .selectFrom('agents')
    .select(({ fn }) => fn.countAll<number | string>().as('agents'))
    .where('owner_id', '=', ownerId)
    .executeTakeFirstOrThrow();
  return Number(agents); // PostgreSQL counts in text
}

export async function listIds(
  db: Kysely<Database>,
): Promise<readonly { readonly id: AgentId; readonly deleting: boolean }[]> {
  const rows = await db.selectFrom('agents').select(['id', 'deleting']).orderBy('ordinal').execute();
  return rows.map((row) => ({ id: row.id, deleting: row.deleting === 1 }));
}

export async function insert(db: Kysely<Database>, agent: Agent): Promise<void> {
  const inserted = await db
    .insertInto('agents')
    .values({
      id: agent.id,
      ordinal: nextOrdinal('agents'),
      owner_id: agent.ownerId,
      name: agent.name,
      harness: agent.harness,
      model: agent.model,
      provider: agent.provider,
      limits: toJson(agent.limits),
      created_at: agent.createdAt,
      deleting: agent.deleting ? 1 : 0,
      sandbox: toJson(agent.sandbox),
      head_seq: 0,
      event_bytes: 0,
      lease_epoch: 0,
      sandbox_up: isUp(agent.sandbox),
      history_bytes: 0,
      said_bytes: 0,
    })
    .onConflict((conflict) => conflict.columns(['owner_id', 'name']).doNothing())
    .returning('id')
    .executeTakeFirst();
  if (inserted === undefined) {
    throw new CaissonError('NAME_TAKEN', `There is already an agent named "${agent.name}".`);
  }
}

export async function setDeleting(db: Kysely<Database>, id: AgentId): Promise<void> {
  const result = await db.updateTable('agents').set({ deleting: 1 }).where('id', '=', id).executeTakeFirst();
  if (result.numUpdatedRows === 0n) throw agentNotFound(id);
}

export async function setSandbox(db: Kysely<Database>, id: AgentId, status: SandboxStatus): Promise<void> {
  const row = { sandbox: toJson(status), sandbox_up: isUp(status) };
  const result = await db.updateTable('agents').set(row).where('id', '=', id).executeTakeFirst();
  if (result.numUpdatedRows === 0n) throw agentNotFound(id);
}

function isUp({ state }: SandboxStatus): 0 | 1 {
  return state === 'starting' || state === 'running' ? 1 : 0;
}

export async function listUp(
  db: Kysely<Database>,
  ownerId: UserId | null,
): Promise<readonly Pick<Agent, 'id' | 'ownerId' | 'limits'>[]> {
  const all = db.selectFrom('agents').select(['id', 'owner_id', 'limits']).where('sandbox_up', '=', 1);
  const rows = await (ownerId === null ? all : all.where('owner_id', '=', ownerId)).execute();
  return rows.map((row) => ({ id: row.id, ownerId: row.owner_id, limits: fromJson(row.limits) }));
}

export async function historyBytes(db: Kysely<Database>, ownerId: UserId): Promise<number> {
  const { bytes } = await db
    .selectFrom('agents')
    .select(({ fn }) => fn.sum<number | string | null>('history_bytes').as('bytes'))
    .where('owner_id', '=', ownerId)
    .executeTakeFirstOrThrow();
  return Number(bytes ?? 0); // PostgreSQL sums in text
}

export async function nextLeaseEpoch(db: Kysely<Database>, id: AgentId): Promise<number> {
  const row = await db
    .updateTable('agents')
    .set((eb) => ({ lease_epoch: eb('lease_epoch', '+', 1) }))
    .where('id', '=', id)
    .returning('lease_epoch')
    .executeTakeFirst();
  if (row === undefined) throw agentNotFound(id);
  return row.lease_epoch;
}

/** Its rows in all other tables go with it, by their foreign keys. */
export async function remove(db: Kysely<Database>, id: AgentId): Promise<void> {
  await db.deleteFrom('agents').where('id', '=', id).execute();
}

export function agentNotFound(id: AgentId): CaissonError {
  return new CaissonError('AGENT_NOT_FOUND', `There is no agent ${id}.`);
}

function toAgent(row: AgentRow): Agent {
  return {
    id: row.id,
    name: row.name,
    ownerId: row.owner_id,
    harness: row.harness,
    model: row.model,
    provider: row.provider,
    limits: fromJson(row.limits),
    createdAt: row.created_at,
    deleting: row.deleting === 1,
    sandbox: fromJson(row.sandbox),
  };
}
