import type { JournalBody } from '../wire/contract/journal-entry.ts';

/** Longest text of a merged entry, in UTF-16 code units. */
export const maxMergedText = 16 * 1024;

export interface Merge {
  readonly body: JournalBody;
  /** The text that was added at the end. */
  readonly added: string;
}

type EventBody = Extract<JournalBody, { type: 'event' }>;

/** Whether an entry may still grow: deltas, and updates of a tool call that hold nothing but output. */
export function isMergeable(body: JournalBody): body is EventBody {
  return body.type === 'event' && mergeableText(body.event) !== undefined;
}

/**
 * `next` put at the end of `last`, where that loses nothing: the same message or tool call of the same run, and text
 * that follows on without a gap. Undefined where they must stay two entries.
 */
export function mergeBodies(last: EventBody, next: JournalBody): Merge | undefined {
  if (next.type !== 'event' || next.runId !== last.runId || next.conversationId !== last.conversationId)
    return undefined;
  const head = last.event;
  const tail = next.event;
  const added = mergeableText(tail);
  const before = mergeableText(head);
  if (added === undefined || before === undefined || before.length + added.length > maxMergedText) return undefined;
  if (head.type === 'message.delta' || head.type === 'thought.delta') {
    const follows =
      tail.type === head.type && tail.messageId === head.messageId && tail.offset === head.offset + head.delta.length;
    return follows ? { body: { ...last, event: { ...head, delta: before + added } }, added } : undefined;
  }
  if (head.type === 'tool.updated' && tail.type === 'tool.updated' && tail.toolCallId === head.toolCallId) {
    if (tail.replacesOutput === true) return undefined;
    return { body: { ...last, event: { ...head, output: before + added } }, added };
  }
  return undefined;
}

function mergeableText(event: EventBody['event']): string | undefined {
  if (event.type === 'message.delta' || event.type === 'thought.delta') return event.delta;
  if (event.type !== 'tool.updated' || event.title !== undefined || event.content !== undefined) return undefined;
  return event.output;
}
