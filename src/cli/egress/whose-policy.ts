import type { ApiInputs, CaissonClient } from '../../client/index.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { findAgent } from '../find-agent.ts';

/** How people name whose policy they mean; no agent's name begins with @. */
export const whoseArgument = [
  '<whose>',
  "an agent's id or name, @me for all your agents, @everyone, or @ceiling:<user id> for what limits a user's agents",
] as const;

type PolicyOf = ApiInputs['egress']['policy']['get'];

/** As the API names it. Errors: AGENT_NOT_FOUND; BAD_REQUEST for an unknown word after @. */
export async function whosePolicy(client: CaissonClient, whose: string): Promise<PolicyOf> {
  if (!whose.startsWith('@')) return { agentId: (await findAgent(client, whose)).id };
  if (whose === '@me') return { scope: 'user' };
  if (whose === '@everyone') return { scope: 'operator' };
  const [, userId] = /^@ceiling:(usr-\w+)$/.exec(whose) ?? [];
  if (userId !== undefined) return { scope: 'ceiling', userId };
  throw new CaissonError('BAD_REQUEST', `${whose} is nobody.`, {
    hint: 'Say @me, @everyone, @ceiling:<user id>, or name an agent.',
  });
}
