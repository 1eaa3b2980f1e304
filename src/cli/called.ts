import type { CaissonClient } from '../client/index.ts';
import { CaissonError } from '../kernel/errors.ts';
import { readPages } from './pages.ts';

/** Agents whose names are read for a table; the rest is shown by id. */
const mostNamed = 10_000;

/**
 * What people call the agents that the caller may see: by name, and with its owner where several have that name. Whoever is
 * gone, or not for the caller to see, is its id.
 */
export async function agentsCalled(client: CaissonClient): Promise<(id: string) => string> {
  const { pages } = await orNone(
    readPages(mostNamed, (page) => client.agents.list.query(page)),
    { pages: [], isCut: false },
  );
  const agents = pages.flat();
  const times = Map.groupBy(agents, ({ name }) => name);
  const names = new Map<string, string>(
    agents.map(({ id, name, ownerName }) => [id, times.get(name)?.length === 1 ? name : `${name} of ${ownerName}`]),
  );
  return (id) => names.get(id) ?? id;
}

/** The same of users. */
export async function usersCalled(client: CaissonClient): Promise<(id: string) => string> {
  const { items } = await orNone(client.users.list.query(), { items: [] });
  const names = new Map<string, string>(items.map(({ id, name }) => [id, name]));
  return (id) => names.get(id) ?? id;
}

/** An auditor sees no agents, and a member no people. */
async function orNone<Found>(found: Promise<Found>, none: Found): Promise<Found> {
  try {
    return await found;
  } catch (thrown) {
    if (thrown instanceof CaissonError && thrown.code === 'FORBIDDEN') return none;
    throw thrown;
  }
}
