import type { IncomingHttpHeaders } from 'node:http';
import type { AgentId, ConversationId, RunId, UserId } from '../../kernel/ids.ts';

/** Whom a model call is counted on. */
export interface ModelCaller {
  /** The owner of the agent. */
  readonly userId: UserId;
  readonly userName: string;
  readonly agentId: AgentId;
  /** Null where the call names no conversation of the agent, and it cannot be told by what is under way. */
  readonly conversationId: ConversationId | null;
  /** Null as well where the conversation has no run under way. */
  readonly runId: RunId | null;
}

/** Finds out whom a call is counted on. */
export interface ModelCallers {
  /**
   * The agent is known by its wire. Of `sessionIds`, as the harness names them, the first that belongs to one of the
   * agent's conversations decides; without one it is the conversation of the only run that is under way, so that calls
   * which a harness makes unseen are counted as well. Undefined for an agent that is deleted.
   */
  find(agentId: AgentId, sessionIds: readonly string[]): Promise<ModelCaller | undefined>;
}

/** The headers in which harnesses name a session, the nearest first: of Codex its thread, then the one that began it. */
const sessionHeaders = ['thread-id', 'x-codex-parent-thread-id', 'session-id', 'x-claude-code-session-id'] as const;

/** What a harness says of the session that a call belongs to. It can lie, but only about its own agent. */
export function sessionIdsIn(headers: Readonly<IncomingHttpHeaders>): readonly string[] {
  const ids = sessionHeaders.map((name) => headers[name]);
  return ids.filter((id): id is string => typeof id === 'string' && /^[\x21-\x7e]{1,128}$/.test(id));
}
