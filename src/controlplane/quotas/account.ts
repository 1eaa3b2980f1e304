import type { AgentId, ConversationId, UserId } from '../../kernel/ids.ts';

/** Whose use is counted. That of an agent or a conversation is counted to its owner only where both are charged. */
export type Account = `user:${UserId}` | `agent:${AgentId}` | `conversation:${ConversationId}`;

export const userAccount = (id: UserId): Account => `user:${id}`;
export const agentAccount = (id: AgentId): Account => `agent:${id}`;
export const conversationAccount = (id: ConversationId): Account => `conversation:${id}`;

export type AccountHolder =
  | { readonly kind: 'user'; readonly id: UserId }
  | { readonly kind: 'agent'; readonly id: AgentId }
  | { readonly kind: 'conversation'; readonly id: ConversationId };

/** Whose account it is. */
export function holderOf(account: Account): AccountHolder {
  const at = account.indexOf(':');
  // An account is made only by the three functions above, so its id is one of that kind.
  return { kind: account.slice(0, at), id: account.slice(at + 1) } as AccountHolder;
}
