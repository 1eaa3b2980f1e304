import type { CaissonClient, QuotaHolder } from '../client/index.ts';
import { CaissonError } from '../kernel/errors.ts';
import { findAgent } from './find-agent.ts';
import { isUserId } from './find-user.ts';

/** How people name whose quotas they mean. */
export const quotaHolderWords = 'a user or an agent, by id or name (users come first), or the id of a conversation';

/** Errors: USER_NOT_FOUND where a name is neither a user's, as far as the caller may see, nor an agent's; those of `findAgent`. */
export async function quotaHolder(client: CaissonClient, text: string): Promise<QuotaHolder> {
  if (text.startsWith('agt-')) return { agentId: text };
  if (text.startsWith('cnv-')) return { conversationId: text };
  if (isUserId(text)) return { userId: text };
  try {
    await client.quotas.get.query({ of: { user: text } });
    return { user: text };
  } catch (thrown) {
    if (!isError(thrown, 'USER_NOT_FOUND')) throw thrown;
  }
  try {
    return { agentId: (await findAgent(client, text)).id };
  } catch (thrown) {
    // FORBIDDEN: an auditor, for whom there are no agents.
    if (!isError(thrown, 'AGENT_NOT_FOUND') && !isError(thrown, 'FORBIDDEN')) throw thrown;
    throw new CaissonError('USER_NOT_FOUND', `There is no user ${text}, and no agent of that name.`, {
      hint: 'List them with `caisson users list` and `caisson agents list`.',
    });
  }
}

function isError(thrown: unknown, code: CaissonError['code']): boolean {
  return thrown instanceof CaissonError && thrown.code === code;
}
