import type { Kysely } from 'kysely';
import type { AgentId } from '../../kernel/ids.ts';
import type { SessionOffer } from '../../wire/contract/session-offer.ts';
import type { Database } from './database.ts';
import { fromJson, toJson } from './json-text.ts';

export async function find(db: Kysely<Database>, agentId: AgentId): Promise<SessionOffer | undefined> {
  const row = await db.selectFrom('session_offers').select('offer').where('agent_id', '=', agentId).executeTakeFirst();
  return row && fromJson(row.offer);
}

export async function set(db: Kysely<Database>, agentId: AgentId, offer: SessionOffer): Promise<void> {
  await db
    .insertInto('session_offers')
    .values({ agent_id: agentId, offer: toJson(offer) })
    .onConflict((conflict) => conflict.column('agent_id').doUpdateSet((eb) => ({ offer: eb.ref('excluded.offer') })))
    .execute();
}
