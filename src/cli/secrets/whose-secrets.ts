import type { ApiInputs, CaissonClient } from '../../client/index.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { findAgent } from '../find-agent.ts';

/** How people name whose agents use a secret; no agent's name begins with @. */
export const whoseSecretsArgument = ['<whose>', "an agent's id or name, or @me for all your agents"] as const;

/** As the API names it. Errors: AGENT_NOT_FOUND; BAD_REQUEST for an unknown word after @. */
export async function whoseSecrets(client: CaissonClient, whose: string): Promise<ApiInputs['secrets']['list'] & {}> {
  if (!whose.startsWith('@')) return { agentId: (await findAgent(client, whose)).id };
  if (whose === '@me') return {};
  throw new CaissonError('BAD_REQUEST', `${whose} is nobody.`, { hint: 'Say @me, or name an agent.' });
}
