import type { ApiInputs, CaissonClient } from '../../client/index.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { findAgent } from '../find-agent.ts';
import { findUser, isUserId } from '../find-user.ts';

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
  if (user !== undefined) return { scope: 'ceiling', userId: await userIdOf(client, user) };
  throw new CaissonError('BAD_REQUEST', `${whose} is nobody.`, {
    hint: 'Say @me, @everyone, @ceiling:<user>, or name an agent.',
  });
}

/** A member may not see who there is, but has a ceiling to look at: the own name is known by the own quotas. */
async function userIdOf(client: CaissonClient, user: string): Promise<string> {
  if (isUserId(user)) return user;
  const { holder } = await client.quotas.get.query();
  return holder.name === user ? holder.id : (await findUser(client, user)).id;
}
