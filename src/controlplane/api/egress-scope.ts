import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId, UserId } from '../../kernel/ids.ts';
import type { Principal } from '../auth/identity.ts';
import type { EgressScope } from '../egress/policy/policy.ts';
import type { ApiServices } from './services.ts';

type NamedScope =
  | { readonly agentId: AgentId }
  | { readonly scope: 'operator' }
  | { readonly scope: 'ceiling'; readonly userId: UserId }
  | { readonly scope: 'user'; readonly userId?: UserId | undefined };

/**
 * The scope of a policy that the caller may read or change. Of an agent: who may view it, or owns it. Of a user: that user. What
 * holds for everyone, and ceilings, are changed by administrators, and seen by auditors too; a user sees the own ceiling.
 * Errors: FORBIDDEN, AGENT_NOT_FOUND, USER_NOT_FOUND.
 */
export async function egressScope(
  { access, keys }: Pick<ApiServices, 'access' | 'keys'>,
  { principal, named, change }: { readonly principal: Principal; readonly named: NamedScope; readonly change: boolean },
): Promise<EgressScope> {
  if ('agentId' in named) {
    await access.agent({ principal, need: change ? 'own' : 'view' }, named.agentId);
    return { kind: 'agent', agentId: named.agentId };
  }
  const ofOthers = { principal, need: change ? 'administer' : 'oversee' } as const;
  if (named.scope === 'operator') {
    access.permit(ofOthers);
    return { kind: 'operator' };
  }
  const { scope: kind, userId = principal.userId } = named;
  const isOwn = userId === principal.userId;
  // A rule of a user is about all agents of that user: not for keys of named agents.
  if (isOwn && (kind === 'user' || !change)) access.permit({ principal, need: change ? 'create' : 'self' });
  else access.permit(ofOthers);
  if (!isOwn && (await keys.userName(userId)) === undefined) {
    throw new CaissonError('USER_NOT_FOUND', `There is no user ${userId}.`);
  }
  return { kind, userId };
}
