import type { Kysely } from 'kysely';
import type { AgentId, IncarnationId } from '../../kernel/ids.ts';
import { compiledQuery } from './compiled-query.ts';
import type { Database } from './database.ts';

interface JournalOf {
  readonly agentId: AgentId;
  readonly incarnation: IncarnationId;
}

const positionOf = compiledQuery<JournalOf, { readonly seq: number }>((db, value) =>
  db
    .selectFrom('journal_positions')
    .select('seq')
    .where('agent_id', '=', value('agentId'))
    .where('incarnation', '=', value('incarnation')),
);

const raise = compiledQuery<JournalOf & { readonly seq: number }, unknown>((db, value) =>
  db
    .insertInto('journal_positions')
    .values({ agent_id: value('agentId'), incarnation: value('incarnation'), seq: value('seq') })
    .onConflict((conflict) =>
      conflict
        .columns(['agent_id', 'incarnation'])
        .doUpdateSet((eb) => ({ seq: eb.ref('excluded.seq') }))
        .where((eb) => eb('journal_positions.seq', '<', eb.ref('excluded.seq'))),
    ),
);

export async function position(db: Kysely<Database>, agentId: AgentId, incarnation: IncarnationId): Promise<number> {
  const [row] = await positionOf(db, { agentId, incarnation });
  return row?.seq ?? 0;
}

/** Never moves back. */
export async function setPosition(db: Kysely<Database>, of: JournalOf, seq: number): Promise<void> {
  await raise(db, { ...of, seq });
}
