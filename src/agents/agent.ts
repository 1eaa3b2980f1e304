import type { AgentId, ConversationId, IncarnationId, MessageId, RunId, UserId } from '../kernel/ids.ts';
import type { ContentBlock } from '../wire/contract/harness-event.ts';

/** What the sandbox of an agent is doing, as last stored. */
export type SandboxStatus =
  | { readonly state: 'starting' }
  | { readonly state: 'running'; readonly incarnation: IncarnationId }
  | { readonly state: 'stopped'; readonly reason: string }
  | { readonly state: 'failed'; readonly code: string; readonly message: string };

/** A named coding agent. Its id is the key of its sandbox. */
export interface Agent {
  readonly id: AgentId;
  /** Unique for its owner. */
  readonly name: string;
  readonly ownerId: UserId;
  readonly harness: string;
  /** A model id of the harness; null for the control plane's default. */
  readonly model: string | null;
  readonly provider: string;
  readonly limits: AgentLimits;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Set once deletion has begun: nothing new starts, and deletion goes on after a restart until nothing is left. */
  readonly deleting: boolean;
  readonly sandbox: SandboxStatus;
}

export interface AgentLimits {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly pids: number;
  /** Of workspace and home together. Null: no limit. Undefined, of agents of earlier: the operator's default. */
  readonly diskBytes?: number | null | undefined;
}

/** `idle` has nothing to do; `thinking` has a run under way; `error`: the last start of its sandbox failed. */
export type AgentActivity = 'idle' | 'thinking' | 'awaiting_permission' | 'error';

export interface Conversation {
  readonly id: ConversationId;
  readonly agentId: AgentId;
  readonly title: string;
  readonly status: 'open' | 'closed';
  /** A model id of the harness; null for the agent's. */
  readonly model: string | null;
  /** A mode id of the harness; null for its default. */
  readonly mode: string | null;
  /** The harness's own id of the ACP session that carries on this conversation; null before its first turn. */
  readonly sessionId: string | null;
  readonly createdAt: number;
  /** Of the last message, or of its opening. */
  readonly updatedAt: number;
}

/** What a person or the agent said. Never changed. */
export interface Message {
  readonly id: MessageId;
  readonly agentId: AgentId;
  readonly conversationId: ConversationId;
  readonly runId: RunId | null;
  readonly role: 'user' | 'agent';
  /** The principal who sent it; null for the agent. */
  readonly senderId: UserId | null;
  readonly content: readonly ContentBlock[];
  readonly createdAt: number;
}
