import type { Agent, Conversation, Message } from '../../src/agents/agent.ts';
import type { EventDraft } from '../../src/agents/event.ts';
import type { Permission } from '../../src/agents/permission.ts';
import type { AgentStore } from '../../src/agents/ports.ts';
import type { Run } from '../../src/agents/run.ts';
import {
  newAgentId,
  newConversationId,
  newIncarnationId,
  newMessageId,
  newPermissionId,
  newRunId,
  newUserId,
} from '../../src/kernel/ids.ts';

/** The time of everything that is made here: equal times must not disturb any order. */
export const now = 1_760_000_000_000;

export function anAgent(of: Partial<Agent> = {}): Agent {
  const id = newAgentId();
  return {
    id,
    name: id,
    ownerId: newUserId(),
    harness: 'codex',
    model: null,
    provider: 'docker',
    limits: { cpus: 1.5, memoryBytes: 8 * 1024 ** 3, pids: 512 },
    createdAt: now,
    deleting: false,
    sandbox: { state: 'starting' },
    ...of,
  };
}

export function aConversation(agentId: Agent['id'], of: Partial<Conversation> = {}): Conversation {
  return {
    id: newConversationId(),
    agentId,
    title: 'Fix the “build” — 🛠',
    status: 'open',
    model: null,
    mode: null,
    sessionId: null,
    createdAt: now,
    updatedAt: now,
    ...of,
  };
}

export function aMessage(conversation: Conversation, of: Partial<Message> = {}): Message {
  return {
    id: newMessageId(),
    agentId: conversation.agentId,
    conversationId: conversation.id,
    runId: null,
    role: 'user',
    senderId: newUserId(),
    content: [
      { type: 'text', text: 'Run the tests.\u0000\n"quoted" 日本' },
      { type: 'other', block: { type: 'image', data: null } },
    ],
    createdAt: now,
    ...of,
  };
}

export type QueuedRun = Run & { readonly state: 'queued' | 'starting' | 'running' | 'awaiting_permission' };

export function aRun(conversation: Conversation, of: Partial<Omit<QueuedRun, 'reason' | 'message'>> = {}): QueuedRun {
  return {
    id: newRunId(),
    agentId: conversation.agentId,
    conversationId: conversation.id,
    messageId: newMessageId(),
    startedBy: newUserId(),
    timeoutMs: 3_600_000,
    acceptedAt: now,
    startedAt: null,
    endedAt: null,
    incarnation: null,
    cancelRequested: false,
    usage: null,
    whenBusy: 'fail',
    state: 'queued',
    reason: null,
    message: null,
    ...of,
  };
}

type PendingPermission = Permission & { readonly state: 'pending' };

export function aPermission(conversation: Conversation, of: Partial<PendingPermission> = {}): PendingPermission {
  return {
    id: newPermissionId(),
    agentId: conversation.agentId,
    conversationId: conversation.id,
    runId: newRunId(),
    incarnation: newIncarnationId(),
    toolCallId: 'call-1',
    title: 'Run rm -rf build',
    kind: 'execute',
    input: { command: ['rm', '-rf', 'build'] },
    content: [{ type: 'text', text: 'It removes the build.' }],
    options: [{ optionId: 'yes', name: 'Yes', kind: 'allow_once' }],
    createdAt: now,
    expiresAt: now + 60_000,
    state: 'pending',
    resolution: null,
    ...of,
  };
}

export function aDelta(text: string, of: Partial<EventDraft> = {}): EventDraft {
  const messageId = newMessageId();
  return {
    conversationId: null,
    runId: null,
    at: now,
    data: { type: 'message.delta', messageId, delta: text, offset: 0 },
    ...of,
  };
}

/** An agent with one open conversation, stored. */
export async function storedAgent(
  store: AgentStore,
  of: Partial<Agent> = {},
): Promise<{ agent: Agent; conversation: Conversation }> {
  const agent = anAgent(of);
  const conversation = aConversation(agent.id);
  await store.transaction(async (tx) => {
    await tx.insertAgent(agent);
    await tx.insertConversation(conversation);
  });
  return { agent, conversation };
}
