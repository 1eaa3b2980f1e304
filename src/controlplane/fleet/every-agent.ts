import type { Agent } from '../../agents/agent.ts';
import type { AgentStore } from '../../agents/ports.ts';

const ofEveryone = { visibleTo: null, among: null } as const;

/** All agents that there are, whoever's, read in pages of 200. */
export async function everyAgent(store: AgentStore): Promise<readonly Agent[]> {
  const agents: Agent[] = [];
  for (let cursor: string | null = null; ;) {
    const page: Awaited<ReturnType<AgentStore['listAgents']>> = await store.listAgents(ofEveryone, {
      limit: 200,
      cursor,
    });
    agents.push(...page.items);
    if (page.nextCursor === null) return agents;
    cursor = page.nextCursor;
  }
}
