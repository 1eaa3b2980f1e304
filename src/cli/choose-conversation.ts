import type { Agent, CaissonClient, Conversation } from '../client/index.ts';
import { CaissonError } from '../kernel/errors.ts';

export interface ConversationChoice {
  /** An id. */
  readonly conversation?: string;
  readonly new?: boolean;
}

/** The conversation that is named, a new one, or the most recent open one of the agent; where there is none, a new one. */
export async function chooseConversation(
  client: CaissonClient,
  agent: Agent,
  choice: ConversationChoice,
): Promise<Conversation> {
  const agentId = agent.id;
  if (choice.conversation !== undefined) {
    if (choice.new === true) throw new CaissonError('BAD_REQUEST', 'Give --conversation or --new, not both.');
    const conversation = await client.conversations.get.query({ conversationId: choice.conversation });
    if (conversation.agentId === agentId) return conversation;
    throw new CaissonError('CONVERSATION_NOT_FOUND', `${conversation.id} is not a conversation of ${agent.name}.`);
  }
  if (choice.new !== true) {
    const { items } = await client.conversations.list.query({ agentId, limit: 200 });
    const open = items.filter(({ status }) => status === 'open');
    const [latest] = open.toSorted((a, b) => b.updatedAt - a.updatedAt);
    if (latest !== undefined) return latest;
  }
  return await client.conversations.open.mutate({ agentId });
}
