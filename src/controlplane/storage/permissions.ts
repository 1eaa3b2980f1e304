import type { Kysely, Selectable } from 'kysely';
import type { Permission, PermissionResolution } from '../../agents/permission.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId, PermissionId, UserId } from '../../kernel/ids.ts';
import type { Database, PermissionsTable } from './database.ts';
import { fromJson, toJson } from './json-text.ts';
import { nextOrdinal } from './ordinals.ts';

export async function find(db: Kysely<Database>, id: PermissionId): Promise<Permission | undefined> {
  const row = await db.selectFrom('permissions').selectAll().where('id', '=', id).executeTakeFirst();
  return row && toPermission(row);
}

export async function listPending(
  db: Kysely<Database>,
  of: { readonly agentId: AgentId } | { readonly ownerId: UserId | null },
): Promise<readonly Permission[]> {
  const pending = db.selectFrom('permissions').selectAll('permissions').where('state', '=', 'pending');
  let wanted = pending;
  if ('agentId' in of) {
    wanted = pending.where('agent_id', '=', of.agentId);
  } else if (of.ownerId !== null) {
    const { ownerId } = of;
    wanted = pending.where('agent_id', 'in', (eb) =>
      eb.selectFrom('agents').select('agents.id').where('owner_id', '=', ownerId),
    );
  }
  return (await wanted.orderBy('ordinal').execute()).map(toPermission);
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
