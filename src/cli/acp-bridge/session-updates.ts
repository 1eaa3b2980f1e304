import type { PlanEntry, SessionUpdate, ToolCallContent, ToolKind } from '@agentclientprotocol/sdk';
import { messageText, type AgentEvent, type Message } from '../../client/index.ts';
import { OutputTail } from './output-tail.ts';

type Event<Type extends AgentEvent['type']> = Extract<AgentEvent, { type: Type }>;

/** Tool calls whose state is kept at the same time; a harness that leaves more unfinished loses the oldest. */
const followedCalls = 200;

/**
 * Turns the events of one turn into ACP's session updates. ACP cannot take back what was said, so a discarded message is
 * followed by a chunk that says so. Events that ACP has no word for give no update.
 */
export class SessionUpdates {
  /** Characters sent of each message that has not ended. */
  readonly #sent = new Map<string, number>();
  readonly #calls = new Map<string, { content: ToolCallContent[]; output: OutputTail }>();
  /** The message whose chunk was the last update: editors run the next one into it. */
  #lastMessage: string | undefined;

  of(event: AgentEvent): SessionUpdate[] {
    const updates = this.#updatesOf(event);
    if (updates.length > 0) {
      this.#lastMessage = 'messageId' in event && !event.type.startsWith('thought.') ? event.messageId : undefined;
    }
    return updates;
  }

  /** What was said to the agent, for a replay: an editor that has just said it knows it. */
  added({ messageId, role, content }: Event<'message.added'>): SessionUpdate {
    this.#lastMessage = role === 'agent' ? messageId : undefined;
    return chunk(role === 'user' ? 'user_message_chunk' : 'agent_message_chunk', textOf(content), messageId);
  }

  #updatesOf(event: AgentEvent): SessionUpdate[] {
    switch (event.type) {
      case 'message.delta':
        return this.#message(event.messageId, event.delta);
      case 'message.completed':
        return this.#completed(event);
      case 'message.discarded':
        return this.#sent.delete(event.messageId) ? [chunk('agent_message_chunk', discardNotes[event.reason])] : [];
      case 'thought.delta':
        return [chunk('agent_thought_chunk', event.delta, event.messageId)];
      case 'tool.started':
        return [this.#started(event)];
      case 'tool.updated':
        return this.#updated(event);
      case 'tool.completed':
        return [this.#ended(event)];
      case 'plan.updated':
        return [{ sessionUpdate: 'plan', entries: event.entries.map(planEntry) }];
      case 'conversation.titled':
        return [{ sessionUpdate: 'session_info_update', title: event.title }];
      case 'run.interrupted':
        return this.#interrupted();
      case 'session.updated':
        return [{ sessionUpdate: 'current_mode_update', currentModeId: event.mode }];
      case 'usage.updated':
        return [{ sessionUpdate: 'usage_update', used: event.used, size: event.size }];
      default:
        return [];
    }
  }

  #message(messageId: string, text: string): SessionUpdate[] {
    if (text === '') return [];
    const isNext = this.#lastMessage !== undefined && this.#lastMessage !== messageId;
    this.#sent.set(messageId, (this.#sent.get(messageId) ?? 0) + text.length);
    return [chunk('agent_message_chunk', isNext ? `${paragraph}${text}` : text, messageId)];
  }

  /** What the deltas did not bring. */
  #completed({ messageId, content }: Event<'message.completed'>): SessionUpdate[] {
    const updates = this.#message(messageId, textOf(content).slice(this.#sent.get(messageId) ?? 0));
    this.#sent.delete(messageId);
    return updates;
  }

  #started(event: Event<'tool.started'>): SessionUpdate {
    const { toolCallId, title, kind, input, locations } = event;
    const content = event.content.flatMap(toolContent);
    this.#calls.set(toolCallId, { content, output: new OutputTail() });
    const oldest = this.#calls.keys().next();
    if (this.#calls.size > followedCalls && oldest.done !== true) this.#calls.delete(oldest.value);
    return {
      sessionUpdate: 'tool_call',
      toolCallId,
      title,
      kind: toolKind(kind),
      status: 'in_progress',
      content,
      locations: locations.map((path) => ({ path })),
      ...(input === undefined ? {} : { rawInput: input }),
    };
  }

  #updated({ toolCallId, title, output, replacesOutput, content }: Event<'tool.updated'>): SessionUpdate[] {
    const call = this.#calls.get(toolCallId);
    if (call === undefined) return [];
    if (replacesOutput === true) call.output = new OutputTail();
    if (content !== undefined) call.content = content.flatMap(toolContent);
    const due = call.output.add(output ?? '');
    if (title === undefined && content === undefined && !due) return [];
    return [
      {
        sessionUpdate: 'tool_call_update',
        toolCallId,
        ...(title === undefined ? {} : { title }),
        ...(content === undefined && !due ? {} : { content: shown(call) }),
      },
    ];
  }

  #ended({ toolCallId, status, exitCode, output, replacesOutput, content }: Event<'tool.completed'>): SessionUpdate {
    const call = this.#calls.get(toolCallId) ?? { content: [], output: new OutputTail() };
    this.#calls.delete(toolCallId);
    if (replacesOutput === true) call.output = new OutputTail();
    call.output.add(output ?? '');
    if (content.length > 0) call.content = content.flatMap(toolContent);
    return {
      sessionUpdate: 'tool_call_update',
      toolCallId,
      status: status === 'completed' ? 'completed' : 'failed', // ACP has no word for a canceled call
      content: shown(call),
      ...(exitCode === null ? {} : { rawOutput: { exitCode } }),
    };
  }

  /** Its sandbox went away with what was open: nothing else tells how that ended. */
  #interrupted(): SessionUpdate[] {
    const calls = [...this.#calls].map(([toolCallId, call]): SessionUpdate => ({
      sessionUpdate: 'tool_call_update',
      toolCallId,
      status: 'failed',
      content: shown(call),
    }));
    const messages = [...this.#sent].map(() => chunk('agent_message_chunk', discardNotes.turn_ended));
    this.#calls.clear();
    this.#sent.clear();
    return [...calls, ...messages];
  }
}

/** What was said, for the replay of a conversation. */
export function replay(messages: readonly Message[]): SessionUpdate[] {
  return messages.map((message, i) => {
    if (message.role === 'user') return chunk('user_message_chunk', messageText(message), message.id);
    const isNext = messages[i - 1]?.role === 'agent';
    return chunk('agent_message_chunk', `${isNext ? paragraph : ''}${messageText(message)}`, message.id);
  });
}

/** A remark of Caisson's own, told as the agent's. */
export function noteChunk(text: string): SessionUpdate {
  return chunk('agent_message_chunk', `\n\n*[Caisson: ${text}]*\n\n`);
}

export function toolContent(item: Event<'tool.started'>['content'][number]): ToolCallContent[] {
  switch (item.type) {
    case 'text':
      return [textContent(item.text)];
    case 'diff':
      return [{ type: 'diff', path: item.path, oldText: item.oldText, newText: item.newText }];
    case 'other':
      return []; // terminals of the harness, which the editor could not find
  }
}

const toolKinds: ReadonlySet<string> = new Set<ToolKind>([
  'read',
  'edit',
  'delete',
  'move',
  'search',
  'execute',
  'think',
  'fetch',
  'switch_mode',
  'other',
]);

export function toolKind(kind: string): ToolKind {
  return isToolKind(kind) ? kind : 'other';
}

function isToolKind(kind: string): kind is ToolKind {
  return toolKinds.has(kind);
}

function textOf(content: Event<'message.completed'>['content']): string {
  return content.map((block) => (block.type === 'text' ? block.text : notText)).join('');
}

/** Between two messages, for editors that run them together. */
const paragraph = '\n\n';

const notText = '[content that is not text]';

const discardNotes = {
  model_retry: '\n\n*[Caisson: the text above was thrown away. The model broke off and is asked again.]*\n\n',
  turn_ended: '\n\n*[Caisson: the text above was never finished.]*\n\n',
} as const;

function chunk(
  sessionUpdate: 'user_message_chunk' | 'agent_message_chunk' | 'agent_thought_chunk',
  text: string,
  messageId?: string,
): SessionUpdate {
  return { sessionUpdate, content: { type: 'text', text }, ...(messageId === undefined ? {} : { messageId }) };
}

function shown(call: { readonly content: ToolCallContent[]; readonly output: OutputTail }): ToolCallContent[] {
  return call.output.isEmpty ? call.content : [...call.content, textContent(call.output.take())];
}

function textContent(text: string): ToolCallContent {
  return { type: 'content', content: { type: 'text', text } };
}

function planEntry({ content, priority, status }: Event<'plan.updated'>['entries'][number]): PlanEntry {
  return {
    content,
    priority: priority === 'high' || priority === 'low' ? priority : 'medium',
    status: status === 'completed' || status === 'in_progress' ? status : 'pending',
  };
}
