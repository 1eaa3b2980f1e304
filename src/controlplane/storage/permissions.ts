import { type Kysely, type Selectable, sql } from 'kysely';
import type { PendingPermission, Permission, PermissionResolution } from '../../agents/permission.ts';
import type { Page, PageRequest, PermissionFilter } from '../../agents/ports.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId, PermissionId, RunId } from '../../kernel/ids.ts';
import type { Database, PermissionsTable } from './database.ts';
import { fromJson, toJson } from './json-text.ts';
import { nextOrdinal } from './ordinals.ts';
import { bytesOf, cursorAfter, fitting, startPage } from './pages.ts';

export async function find(db: Kysely<Database>, id: PermissionId): Promise<Permission | undefined> {
  const row = await db.selectFrom('permissions').selectAll().where('id', '=', id).executeTakeFirst();
  return row && toPermission(row);
}

/** What a permission is about is left unread. */
export async function findPending(db: Kysely<Database>, id: PermissionId): Promise<PendingPermission | undefined> {
  const row = await db
    .selectFrom('permissions')
    .select([...pendingColumns, 'state'])
    .where('id', '=', id)
    .executeTakeFirst();
  return row?.state === 'pending' ? toPending(row) : undefined;
}

export async function exists(db: Kysely<Database>, id: PermissionId): Promise<boolean> {
  return (await db.selectFrom('permissions').select('id').where('id', '=', id).executeTakeFirst()) !== undefined;
}

export async function listPendingOf(db: Kysely<Database>, agentId: AgentId): Promise<readonly PendingPermission[]> {
  const rows = await db
    .selectFrom('permissions')
    .select(pendingColumns)
    .where('agent_id', '=', agentId)
    .where('state', '=', 'pending')
    .orderBy('ordinal')
    .execute();
  return rows.map(toPending);
}

export async function countPending(db: Kysely<Database>, agentId: AgentId): Promise<number> {
  const { count } = await db
    .selectFrom('permissions')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('agent_id', '=', agentId)
    .where('state', '=', 'pending')
    .executeTakeFirstOrThrow();
  return count;
}

export async function isAwaited(db: Kysely<Database>, runId: RunId): Promise<boolean> {
  const one = await db
    .selectFrom('permissions')
    .select('id')
    .where('run_id', '=', runId)
    .where('state', '=', 'pending')
    .limit(1)
    .executeTakeFirst();
  return one !== undefined;
}

/** Oldest first. */
export async function listPending(
  db: Kysely<Database>,
  of: PermissionFilter,
  page: PageRequest,
): Promise<Page<Permission>> {
  const start = startPage('permissions', page);
  const pending = db.selectFrom('permissions').where('state', '=', 'pending').where('ordinal', '>', start.after);
  let wanted = pending;
  if ('agentId' in of) {
    wanted = pending.where('agent_id', '=', of.agentId);
  } else {
    const { visibleTo, among } = of;
    if (among !== null) wanted = wanted.where('agent_id', 'in', among);
    if (visibleTo !== null) {
      wanted = wanted.where('agent_id', 'in', (eb) =>
        eb
          .selectFrom('agents')
          .select('agents.id')
          .where('owner_id', '=', visibleTo)
          .unionAll(
            eb.selectFrom('agent_shares').select('agent_shares.agent_id as id').where('user_id', '=', visibleTo),
          ),
      );
    }
  }
  const oldest = wanted.orderBy('ordinal').limit(start.rows);
  const size = sql<number>`${bytesOf('input')} + ${bytesOf('content')} + ${bytesOf('options')}`;
  const sized = await oldest.select(['ordinal', size.as('size')]).execute();
  const shown = fitting(sized, start.rows - 1);
  const rows = await oldest
    .selectAll()
    .where('ordinal', '<=', shown.at(-1)?.ordinal ?? start.after)
    .execute();
  return { items: rows.map(toPermission), nextCursor: cursorAfter('permissions', shown, sized) };
}

export async function insert(db: Kysely<Database>, permission: Permission): Promise<void> {
  await db
    .insertInto('permissions')
    .values({
      id: permission.id,
      ordinal: nextOrdinal('permissions'),
      agent_id: permission.agentId,
      conversation_id: permission.conversationId,
      run_id: permission.runId,
      incarnation: permission.incarnation,
      tool_call_id: permission.toolCallId,
      title: permission.title,
      kind: permission.kind,
      input: toJson(permission.input),
      content: toJson(permission.content),
      options: toJson(permission.options),
      created_at: permission.createdAt,
      expires_at: permission.expiresAt,
      state: permission.state,
      resolution: toJson(permission.resolution),
    })
    .execute();
}

export async function resolve(
  db: Kysely<Database>,
  id: PermissionId,
  resolution: PermissionResolution,
): Promise<boolean> {
  const result = await db
    .updateTable('permissions')
    .set({ state: 'resolved', resolution: toJson<PermissionResolution | null>(resolution) })
    .where('id', '=', id)
    .where('state', '=', 'pending')
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

const pendingColumns = ['id', 'agent_id', 'conversation_id', 'run_id', 'incarnation'] as const;

function toPending(row: Pick<Selectable<PermissionsTable>, (typeof pendingColumns)[number]>): PendingPermission {
  return {
    id: row.id,
    agentId: row.agent_id,
    conversationId: row.conversation_id,
    runId: row.run_id,
    incarnation: row.incarnation,
  };
}

function toPermission(row: Selectable<PermissionsTable>): Permission {
  const permission = {
    id: row.id,
    agentId: row.agent_id,
    conversationId: row.conversation_id,
    runId: row.run_id,
    incarnation: row.incarnation,
    toolCallId: row.tool_call_id,
    title: row.title,
    kind: row.kind,
    input: fromJson(row.input),
    content: fromJson(row.content),
    options: fromJson(row.options),
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  };
  const resolution = fromJson(row.resolution);
  if (row.state === 'pending') return { ...permission, state: 'pending', resolution: null };
  if (resolution !== null) return { ...permission, state: 'resolved', resolution };
  throw new CaissonError('INTERNAL', `Permission ${row.id} is stored as resolved without a resolution.`);
}
