import type { Kysely, Selectable } from 'kysely';
import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId, UserId } from '../../kernel/ids.ts';
import type { Share, ShareRole } from '../auth/sharing.ts';
import { compiledQuery } from './compiled-query.ts';
import type { AgentSharesTable, Database } from './database.ts';
import { nextOrdinal } from './ordinals.ts';

interface OwnerState {
  readonly disabled_at: number | null;
}

const ofUser = compiledQuery<{ agentId: AgentId; userId: UserId }, Pick<AgentSharesTable, 'role'> & OwnerState>(
  (db, value) =>
    db
      .selectFrom('agent_shares')
      .innerJoin('agents', 'agents.id', 'agent_shares.agent_id')
      .leftJoin('users', 'users.id', 'agents.owner_id')
      .select(['agent_shares.role', 'users.disabled_at'])
      .where('agent_shares.agent_id', '=', value('agentId'))
      .where('agent_shares.user_id', '=', value('userId')),
);

export async function find(
  db: Kysely<Database>,
  agentId: AgentId,
  userId: UserId,
): Promise<{ readonly role: ShareRole; readonly isOwnerDisabled: boolean } | undefined> {
  const [row] = await ofUser(db, { agentId, userId });
  return row && { role: row.role, isOwnerDisabled: row.disabled_at !== null };
}

export async function list(db: Kysely<Database>, agentId: AgentId): Promise<readonly Share[]> {
  const rows = await db
    .selectFrom('agent_shares')
    .selectAll()
    .where('agent_id', '=', agentId)
    .orderBy('ordinal')
    .execute();
  return rows.map(toShare);
}

/** Needs a transaction. Errors: AGENT_NOT_FOUND. */
export async function put(db: Kysely<Database>, share: Share, most: number): Promise<ShareRole | 'none' | 'full'> {
  const others = await list(db, share.agentId);
  const earlier = others.find(({ userId }) => userId === share.userId);
  if (earlier !== undefined) {
    await db
      .updateTable('agent_shares')
      .set({ role: share.role, created_by: share.createdBy, created_at: share.createdAt })
      .where('agent_id', '=', share.agentId)
      .where('user_id', '=', share.userId)
      .execute();
    return earlier.role;
  }
  if (others.length >= most) return 'full';
  const agent = await db.selectFrom('agents').select('ordinal').where('id', '=', share.agentId).executeTakeFirst();
  if (agent === undefined) throw new CaissonError('AGENT_NOT_FOUND', `There is no agent ${share.agentId}.`);
  await db
    .insertInto('agent_shares')
    .values({
      agent_id: share.agentId,
      user_id: share.userId,
      ordinal: nextOrdinal('agent_shares'),
      role: share.role,
      created_by: share.createdBy,
      created_at: share.createdAt,
      agent_ordinal: agent.ordinal,
    })
    .execute();
  return 'none';
}

export async function remove(db: Kysely<Database>, agentId: AgentId, userId: UserId): Promise<boolean> {
  const { numDeletedRows } = await db
    .deleteFrom('agent_shares')
    .where('agent_id', '=', agentId)
    .where('user_id', '=', userId)
    .executeTakeFirst();
  return numDeletedRows === 1n;
}

function toShare(row: Selectable<AgentSharesTable>): Share {
  return {
    agentId: row.agent_id,
    userId: row.user_id,
    role: row.role,
    createdBy: row.created_by,
    createdAt: row.created_at,
  };
}
