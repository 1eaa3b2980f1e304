import type { Agent, CaissonClient } from '../client/index.ts';

/** Ids start with `agt-`, which no name may. */
export async function findAgent(client: CaissonClient, nameOrId: string): Promise<Agent> {
  return await client.agents.get.query(nameOrId.startsWith('agt-') ? { agentId: nameOrId } : { name: nameOrId });
}
