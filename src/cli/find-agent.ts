import type { Agent, CaissonClient } from '../client/index.ts';
import { CaissonError } from '../kernel/errors.ts';
import { readPages } from './pages.ts';

/** Agents that are looked through for a name that is not the caller's: what an administrator may have before it. */
const mostLookedThrough = 10_000;

/**
 * By id, or by name: the caller's own, else the only one of that name that the caller may see. Ids start with `agt-`, which
 * no name may. Errors: AGENT_NOT_FOUND; BAD_REQUEST where several people have one of that name.
 */
export async function findAgent(client: CaissonClient, nameOrId: string): Promise<Agent> {
  const own = await lookUp(client, nameOrId);
  if (!(own instanceof CaissonError)) return own;
  const namesakes = isId(nameOrId) ? [] : await agentsOfOthers(client, nameOrId);
  const [only] = namesakes;
  if (only === undefined) throw own;
  if (namesakes.length === 1) return only;
  throw new CaissonError('BAD_REQUEST', `${ownersOf(namesakes)} have an agent called ${nameOrId}.`, {
    hint: `Use its id: ${namesakes.map(({ id, ownerName }) => `${id} (${ownerName})`).join(', ')}.`,
  });
}

/**
 * By id, or by name among the caller's own: for what cannot be taken back. Undefined when there is none; BAD_REQUEST when
 * someone else's has the name.
 */
export async function findOwnAgent(client: CaissonClient, nameOrId: string): Promise<Agent | undefined> {
  const own = await lookUp(client, nameOrId);
  if (!(own instanceof CaissonError)) return own;
  const namesakes = isId(nameOrId) ? [] : await agentsOfOthers(client, nameOrId);
  if (namesakes.length === 0) return undefined;
  const whose = namesakes.map(({ id, ownerName }) => `${ownerName}'s (${id})`).join(' and ');
  throw new CaissonError('BAD_REQUEST', `You have no agent called ${nameOrId}; it is ${whose}.`, {
    hint: 'Use its id if you mean that one.',
  });
}

/** AGENT_NOT_FOUND as an answer. */
async function lookUp(client: CaissonClient, nameOrId: string): Promise<Agent | CaissonError> {
  try {
    return await client.agents.get.query(isId(nameOrId) ? { agentId: nameOrId } : { name: nameOrId });
  } catch (thrown) {
    if (thrown instanceof CaissonError && thrown.code === 'AGENT_NOT_FOUND') return thrown;
    throw thrown;
  }
}

function isId(nameOrId: string): boolean {
  return nameOrId.startsWith('agt-');
}

async function agentsOfOthers(client: CaissonClient, name: string): Promise<Agent[]> {
  const { pages } = await readPages(mostLookedThrough, (page) => client.agents.list.query(page));
  return pages.flat().filter((agent) => agent.name === name);
}

function ownersOf(agents: readonly Agent[]): string {
  return agents.map(({ ownerName }) => ownerName).join(' and ');
}
