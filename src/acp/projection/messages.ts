import { newMessageId, type MessageId } from '../../kernel/ids.ts';
import type { ContentBlock, HarnessEvent } from '../../wire/contract/harness-event.ts';
import { isText, type AcpContent } from './updates.ts';

/** A message is completed, and the next one begun, at this many UTF-16 code units: the most that is held of one. */
const longestMessage = 1024 * 1024;

interface OpenMessage {
  readonly harnessId: string | null;
  readonly messageId: MessageId;
  readonly content: ContentBlock[];
  /** UTF-16 code units of text so far. */
  length: number;
}

/**
 * What the agent says in one session: at most one message is open. Chunks with the harness's same message id, or without
 * one, continue it; any other chunk completes it and opens the next. A completed message never changes: a later chunk
 * with its harness id opens a new one.
 */
export class MessageProjection {
  #open: OpenMessage | null = null;
  readonly #longest: number;

  constructor(longest = longestMessage) {
    this.#longest = longest;
  }

  chunk(harnessId: string | null, content: AcpContent): HarnessEvent[] {
    const events: HarnessEvent[] = [];
    let open = this.#open;
    if (open !== null && (open.harnessId !== harnessId || open.length >= this.#longest)) {
      events.push(...this.complete());
      open = null;
    }
    open ??= { harnessId, messageId: newMessageId(), content: [], length: 0 };
    this.#open = open;
    if (!isText(content)) {
      open.content.push({ type: 'other', block: content });
      return events;
    }
    const last = open.content.at(-1);
    if (last?.type === 'text') last.text += content.text;
    else open.content.push({ type: 'text', text: content.text });
    events.push({ type: 'message.delta', messageId: open.messageId, delta: content.text, offset: open.length });
    open.length += content.text.length;
    return events;
  }

  /** Ends the open message, if there is one, with its whole content. */
  complete(): HarnessEvent[] {
    const open = this.#open;
    this.#open = null;
    return open === null ? [] : [{ type: 'message.completed', messageId: open.messageId, content: open.content }];
  }

  /** Takes the open message back, if there is one. */
  discard(reason: 'model_retry' | 'turn_ended'): HarnessEvent[] {
    const open = this.#open;
    this.#open = null;
    return open === null ? [] : [{ type: 'message.discarded', messageId: open.messageId, reason }];
  }
}

/** What the agent thinks aloud. Only deltas, so nothing but the place in the text is held. */
export class ThoughtProjection {
  #open: { readonly harnessId: string | null; readonly messageId: MessageId; length: number } | null = null;

  chunk(harnessId: string | null, delta: string): HarnessEvent {
    if (this.#open?.harnessId !== harnessId) this.#open = null;
    this.#open ??= { harnessId, messageId: newMessageId(), length: 0 };
    const offset = this.#open.length;
    this.#open.length += delta.length;
    return { type: 'thought.delta', messageId: this.#open.messageId, delta, offset };
  }

  end(): void {
    this.#open = null;
  }
}
