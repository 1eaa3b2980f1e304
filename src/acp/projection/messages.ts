import { jsonTextBytes, textPieces } from '../../kernel/json-text.ts';
import { newMessageId, type MessageId } from '../../kernel/ids.ts';
import type { ContentBlock, HarnessEvent } from '../../wire/contract/harness-event.ts';
import { journalBounds } from '../../wire/contract/journal-bounds.ts';
import { isBoundedJson } from '../../wire/contract/json-value.ts';
import { isText, type AcpContent } from './updates.ts';

/**
 * A message is completed, and the next one begun, before its content takes more than this as JSON: it is the most that is
 * held of one, and fits into a line of the journal. Of plain text this is as many characters, of Chinese a third.
 */
const longestMessage = 896 * 1024;
const longestDelta = 128 * 1024;

interface OpenMessage {
  readonly harnessId: string | null;
  readonly messageId: MessageId;
  readonly content: ContentBlock[];
  /** UTF-16 code units of text so far. */
  length: number;
  /** Of the content so far, as JSON. */
  bytes: number;
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
    if (!isText(content)) return this.#show(harnessId, content);
    const pieces = textPieces(content.text, Math.min(longestDelta, this.#longest));
    return pieces.flatMap((piece) => this.#say(harnessId, piece));
  }

  #say(harnessId: string | null, delta: string): HarnessEvent[] {
    const { open, before } = this.#take(harnessId, jsonTextBytes(delta));
    const last = open.content.at(-1);
    if (last?.type === 'text') last.text += delta;
    else open.content.push({ type: 'text', text: delta });
    const offset = open.length;
    open.length += delta.length;
    return [...before, { type: 'message.delta', messageId: open.messageId, delta, offset }];
  }

  #show(harnessId: string | null, block: AcpContent): HarnessEvent[] {
    // Of one that is too deep to be measured not much will be left.
    const bytes = isBoundedJson(block) ? Buffer.byteLength(JSON.stringify(block)) : 0;
    const { open, before } = this.#take(harnessId, bytes);
    open.content.push({ type: 'other', block });
    return before;
  }

  /** The message that has room for so much more; `before` ends the one that had not, or that was another. */
  #take(harnessId: string | null, bytes: number): { readonly open: OpenMessage; readonly before: HarnessEvent[] } {
    const goesOn = this.#open?.harnessId === harnessId && this.#hasRoom(this.#open, bytes);
    const before = goesOn ? [] : this.complete();
    const open = this.#open ?? { harnessId, messageId: newMessageId(), content: [], length: 0, bytes: 0 };
    open.bytes += bytes;
    this.#open = open;
    return { open, before };
  }

  #hasRoom(open: OpenMessage, bytes: number): boolean {
    return open.bytes + bytes <= this.#longest && open.content.length < journalBounds.blocks;
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
