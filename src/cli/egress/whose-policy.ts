import type { ApiInputs, CaissonClient } from '../../client/index.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { findAgent } from '../find-agent.ts';
import { findUser } from '../find-user.ts';

/** How people name whose policy they mean; no agent's name begins with @. */
export const whoseArgument = [
  '<whose>',
  "an agent's id or name, @me for all your agents, @everyone, or @ceiling:<user> for what limits a user's agents",
] as const;

type PolicyOf = ApiInputs['egress']['policy']['get'];

/** As the API names it. Errors: AGENT_NOT_FOUND; those of `findUser`; BAD_REQUEST for an unknown word after @. */
export async function whosePolicy(client: CaissonClient, whose: string): Promise<PolicyOf> {
  if (!whose.startsWith('@')) return { agentId: (await findAgent(client, whose)).id };
  if (whose === '@me') return { scope: 'user' };
  if (whose === '@everyone') return { scope: 'operator' };
  const [, user] = /^@ceiling:(.+)$/.exec(whose) ?? [];
  // By the id also for a member, who may not see who there is, and has a ceiling to look at.
  if (user !== undefined)
    return { scope: 'ceiling', userId: user.startsWith('usr-') ? user : (await findUser(client, user)).id };
  throw new CaissonError('BAD_REQUEST', `${whose} is nobody.`, {
    hint: 'Say @me, @everyone, @ceiling:<user>, or name an agent.',
  });
}
