import type { CaissonClient } from '../client/index.ts';
import { CaissonError } from '../kernel/errors.ts';
import { findAgent, findOwnAgent } from './find-agent.ts';

/**
 * The key of a sandbox, which is the id of its agent: by id, as that of an orphan must be, or by the name of the agent. For what
 * cannot be taken back, by the name of one's own only. Errors: AGENT_NOT_FOUND; BAD_REQUEST where the name is not clear.
 */
export async function findSandbox(
  client: CaissonClient,
  nameOrId: string,
  { onlyOwn = false }: { readonly onlyOwn?: boolean } = {},
): Promise<string> {
  if (nameOrId.startsWith('agt-')) return nameOrId;
  if (!onlyOwn) return (await findAgent(client, nameOrId)).id;
  const own = await findOwnAgent(client, nameOrId);
  if (own !== undefined) return own.id;
  throw new CaissonError('AGENT_NOT_FOUND', `You have no agent called ${nameOrId}.`, {
    hint: 'Use the id: `caisson admin sandboxes` shows it.',
  });
}
