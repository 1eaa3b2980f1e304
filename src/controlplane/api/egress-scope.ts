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
 * The scope of a policy that the caller may read or change. Of an agent: who may use it. Of a user: that user. What holds for
 * everyone, and ceilings, are for administrators; a user may read the own ceiling. Errors: FORBIDDEN, AGENT_NOT_FOUND, USER_NOT_FOUND.
 */
export async function egressScope(
  { access, keys }: Pick<ApiServices, 'access' | 'keys'>,
  { principal, named, change }: { readonly principal: Principal; readonly named: NamedScope; readonly change: boolean },
): Promise<EgressScope> {
  if ('agentId' in named) {
    await access.agent(principal, named.agentId);
    return { kind: 'agent', agentId: named.agentId };
  }
  const isAdmin = principal.role === 'admin';
  if (named.scope === 'operator') {
    if (!isAdmin) throw forbidden('what holds for everyone');
    return { kind: 'operator' };
  }
  const { scope: kind, userId = principal.userId } = named;
  const isOwn = userId === principal.userId;
  if (!isAdmin && !(isOwn && (kind === 'user' || !change))) throw forbidden('what holds for this user');
  if (!isOwn && (await keys.userName(userId)) === undefined) {
    throw new CaissonError('USER_NOT_FOUND', `There is no user ${userId}.`);
  }
  return { kind, userId };
}

function forbidden(what: string): CaissonError {
  return new CaissonError('FORBIDDEN', `Only administrators see and change ${what}.`);
}
