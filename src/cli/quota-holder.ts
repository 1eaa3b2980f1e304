import type { QuotaHolder } from '../client/index.ts';

/** The name or id of a user, or the id of an agent or a conversation. */
export function quotaHolder(text: string): QuotaHolder {
  if (text.startsWith('agt-')) return { agentId: text };
  if (text.startsWith('cnv-')) return { conversationId: text };
  return text.startsWith('usr-') ? { userId: text } : { user: text };
}
