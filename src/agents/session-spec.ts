import type { SessionSpec } from '../wire/contract/turn.ts';
import type { Agent, Conversation } from './agent.ts';
import { workspaceDirectory } from './settings.ts';

/** The session that carries on a conversation, as it is wanted now. */
export function sessionSpec(agent: Agent, conversation: Conversation): SessionSpec {
  const { id: conversationId, sessionId, title, model, mode } = conversation;
  return { conversationId, sessionId, cwd: workspaceDirectory, title, model: model ?? agent.model, mode };
}
