import type { Kysely } from 'kysely';
import type { AgentId, IncarnationId } from '../../kernel/ids.ts';
import type { Database } from './database.ts';

export async function position(db: Kysely<Database>, agentId: AgentId, incarnation: IncarnationId): Promise<number> {
  const row = await db
    .selectFrom('journal_positions')
    .select('seq')
    .where('agent_id', '=', agentId)
    .where('incarnation', '=', incarnation)
    .executeTakeFirst();
  return row?.seq ?? 0;
}

/** Never moves back. */
export async function setPosition(
  db: Kysely<Database>,
  of: { readonly agentId: AgentId; readonly incarnation: IncarnationId },
  seq: number,
): Promise<void> {
  await db
    .insertInto('journal_positions')
    .values({ agent_id: of.agentId, incarnation: of.incarnation, seq })
    .onConflict((conflict) =>
      conflict
        .columns(['agent_id', 'incarnation'])
        .doUpdateSet((eb) => ({ seq: eb.ref('excluded.seq') }))
        .where((eb) => eb('journal_positions.seq', '<', eb.ref('excluded.seq'))),
    )
    .execute();
}
