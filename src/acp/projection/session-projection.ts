import type { HarnessEvent, PermissionOutcome } from '../../wire/contract/harness-event.ts';
import type { TurnOutcome } from '../../wire/contract/turn.ts';
import { MessageProjection, ThoughtProjection } from './messages.ts';
import { ToolCallProjection } from './tool-calls.ts';
import { isText, readJson, updateName, updateSchema, type AcpContent, type CodexMeta } from './updates.ts';

/** How tool calls that are still open end with their turn. A command that outlives a good turn has done its part. */
const openToolEnd = {
  completed: 'completed',
  failed: 'failed',
  canceled: 'canceled',
  timed_out: 'canceled',
} as const satisfies Record<TurnOutcome['state'], string>;

/** What agent text without a message id is: a part of what the agent says, or a notice of the harness itself. */
export type UnnamedChunks = 'speech' | 'notice';

export interface SessionProjectionOptions {
  /** Default: speech. */
  readonly unnamedChunks?: UnnamedChunks;
  /** In bytes of JSON; default 896 KiB. */
  readonly longestMessage?: number;
}

/**
 * Turns the `session/update`s of one session into Caisson's events. Pure but for the ids of new messages: no time, no
 * I/O. Nothing is dropped: what has no word of its own becomes `harness.other`.
 */
export class SessionProjection {
  readonly #messages: MessageProjection;
  readonly #thoughts = new ThoughtProjection();
  readonly #tools = new ToolCallProjection();
  #failure: string | null = null;

  readonly #unnamedChunks: UnnamedChunks;

  constructor({ unnamedChunks = 'speech', longestMessage }: SessionProjectionOptions = {}) {
    this.#unnamedChunks = unnamedChunks;
    this.#messages = new MessageProjection(longestMessage);
  }

  get openTools(): number {
    return this.#tools.openCount;
  }

  /** Title and kind of an open tool call. */
  knownTool(toolCallId: string): { readonly title: string; readonly kind: string } | undefined {
    return this.#tools.known(toolCallId);
  }

  /** How a permission request of a tool call ended: one that was not allowed never ran. */
  permissionEnded(toolCallId: string, outcome: PermissionOutcome): void {
    this.#tools.permissionEnded(toolCallId, outcome);
  }

  /** Why the harness says that its turn failed, since `beginTurn`; empty text where it gave no reason; null: it did not. */
  get failure(): string | null {
    return this.#failure;
  }

  /** Closes what the harness said between turns. */
  beginTurn(): HarnessEvent[] {
    this.#failure = null;
    this.#tools.isStopping = false;
    this.#thoughts.end();
    return this.#messages.complete();
  }

  /** The turn is canceled, or its time is up: a harness may call what that ends failed. */
  stopTurn(): void {
    this.#tools.isStopping = true;
  }

  /** The words that close a turn: a message that a failed or ended turn left unfinished never was. */
  endTurn(state: TurnOutcome['state']): HarnessEvent[] {
    this.#thoughts.end();
    const messages = state === 'completed' ? this.#messages.complete() : this.#messages.discard('turn_ended');
    return [...messages, ...this.#tools.endAll(openToolEnd[state])];
  }

  apply(update: unknown): HarnessEvent[] {
    const parsed = updateSchema.safeParse(update);
    if (!parsed.success) return [other(update)];
    const { data } = parsed;
    switch (data.sessionUpdate) {
      case 'agent_message_chunk':
        if (data.messageId == null && this.#unnamedChunks === 'notice') return this.#notice(data.content, update);
        this.#thoughts.end();
        return this.#messages.chunk(data.messageId ?? null, data.content);
      case 'agent_thought_chunk':
        if (!isText(data.content)) return [other(update)];
        return [...this.#messages.complete(), this.#thoughts.chunk(data.messageId ?? null, data.content.text)];
      case 'tool_call':
      case 'tool_call_update': {
        const isNew = this.#tools.known(data.toolCallId) === undefined;
        const events = this.#tools.update(data);
        if (events === null) return [other(update)];
        if (!isNew) return events;
        this.#thoughts.end();
        return [...this.#messages.complete(), ...events];
      }
      case 'plan':
        return [{ type: 'plan.updated', entries: data.entries }];
      case 'usage_update':
        return [{ type: 'usage.updated', used: data.used, size: data.size }];
      case 'session_info_update': {
        const codex = data._meta?.codex;
        const events = codex === undefined ? [] : this.#codexStatus(codex);
        const isOnlyStatus = codex?.threadStatus !== undefined && codex.error === undefined && data.title == null;
        return isOnlyStatus ? events : [...events, other(update)];
      }
    }
  }

  /** After the status `systemError`, a notice is the error of the failed turn. */
  #notice(content: AcpContent, update: unknown): HarnessEvent[] {
    if (this.#failure === null || !isText(content)) return [other(update)];
    this.#failure += content.text;
    return [];
  }

  #codexStatus({ threadStatus, error }: CodexMeta): HarnessEvent[] {
    if (threadStatus?.type === 'systemError') this.#failure ??= '';
    if (threadStatus?.type === 'active') this.#failure = null;
    if (error?.willRetry !== true) return [];
    this.#thoughts.end();
    return this.#messages.discard('model_retry');
  }
}

function other(update: unknown): HarnessEvent {
  return { type: 'harness.other', sessionUpdate: updateName(update), update: readJson(update) };
}
