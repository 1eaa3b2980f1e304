import type { Kysely } from 'kysely';
import type { UserId } from '../../kernel/ids.ts';
import type { DiskRecord } from '../disk/disk-store.ts';
import type { Database } from './database.ts';

export async function list(db: Kysely<Database>): Promise<readonly (DiskRecord & { readonly ownerId: UserId })[]> {
  const rows = await db
    .selectFrom('agent_disks')
    .innerJoin('agents', 'agents.id', 'agent_disks.agent_id')
    .selectAll('agent_disks')
    .select('agents.owner_id')
    .execute();
  return rows.map((row) => ({
    agentId: row.agent_id,
    ownerId: row.owner_id,
    usedBytes: row.used_bytes,
    method: row.method,
    state: row.state,
    measuredAt: row.measured_at,
  }));
}

/** Needs a transaction: the agent must not go in between. */
export async function save(db: Kysely<Database>, record: DiskRecord): Promise<void> {
  const { agentId, usedBytes, method, state, measuredAt } = record;
  const agent = await db.selectFrom('agents').select('id').where('id', '=', agentId).executeTakeFirst();
  if (agent === undefined) return;
  const row = { used_bytes: usedBytes, method, state, measured_at: measuredAt };
  await db
    .insertInto('agent_disks')
    .values({ agent_id: agentId, ...row })
    .onConflict((conflict) => conflict.column('agent_id').doUpdateSet(row))
    .execute();
}
