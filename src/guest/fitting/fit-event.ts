import { createHash } from 'node:crypto';
import { jsonTextBytes, shorten, textPieces } from '../../kernel/json-text.ts';
import type { HarnessEvent } from '../../wire/contract/harness-event.ts';
import { journalBounds } from '../../wire/contract/journal-bounds.ts';
import type { JsonValue } from '../../wire/contract/json-value.ts';
import { fitBlocks } from './fit-blocks.ts';
import { fitJson, leftOut } from './fit-json.ts';

const kibibyte = 1024;
/**
 * Shares of a line, which is 1 MiB. Together with ids, titles, options and what is around them, those of one event fit
 * into it.
 */
const pieceBytes = 128 * kibibyte;
const inputBytes = 192 * kibibyte;
const contentBytes = 480 * kibibyte;
/** Of a permission request, whose line is shorter. */
const askedInputBytes = 64 * kibibyte;
const askedContentBytes = 128 * kibibyte;
const locationBytes = 64 * kibibyte;
const planBytes = 768 * kibibyte;
const messageBytes = 960 * kibibyte;
const otherBytes = 768 * kibibyte;

type Tool<Type extends HarnessEvent['type']> = Extract<HarnessEvent, { type: Type }>;

/** The event as the contract takes it: itself, or shortened, or several that say the same one after the other. */
export function fitEvent(event: HarnessEvent): readonly HarnessEvent[] {
  switch (event.type) {
    case 'message.delta':
    case 'thought.delta':
      return fitDelta(event);
    case 'message.completed':
      return [{ ...event, content: fitBlocks(event.content, messageBytes) }];
    case 'tool.started':
      return [fitStart(event)];
    case 'tool.updated':
    case 'tool.completed':
      return fitProgress(event);
    case 'plan.updated':
      return [{ ...event, entries: fitPlan(event.entries) }];
    case 'permission.requested':
      return [
        {
          ...event,
          ...fitCall(event, askedInputBytes),
          content: fitBlocks(event.content, askedContentBytes),
          options: event.options.map((option) => ({ ...option, name: shorten(option.name, journalBounds.optionName) })),
        },
      ];
    case 'harness.other': {
      const { sessionUpdate, update } = event;
      return [
        { ...event, sessionUpdate: shorten(sessionUpdate, journalBounds.word), update: fitJson(update, otherBytes) },
      ];
    }
    case 'message.discarded':
    case 'permission.resolved':
    case 'session.updated':
    case 'usage.updated':
      return [event];
  }
}

function fitDelta(event: Tool<'message.delta' | 'thought.delta'>): readonly HarnessEvent[] {
  const pieces = textPieces(event.delta, pieceBytes);
  if (pieces.length === 1) return [event];
  let { offset } = event;
  return pieces.map((delta) => {
    const piece = { ...event, delta, offset };
    offset += delta.length;
    return piece;
  });
}

function fitStart(event: Tool<'tool.started'>): HarnessEvent {
  const locations: string[] = [];
  let bytes = 0;
  for (const path of event.locations) {
    bytes += jsonTextBytes(path) + 3;
    if (bytes > locationBytes || locations.length === journalBounds.locations) break;
    locations.push(shorten(path, journalBounds.path));
  }
  const content = fitBlocks(event.content, contentBytes);
  const missing = event.locations.length - locations.length;
  if (missing > 0 && content.length < journalBounds.blocks)
    content.push({ type: 'text', text: leftOut(missing, event.locations.length, 'locations') });
  return { ...event, ...fitCall(event, inputBytes), locations, content };
}

/** Output goes on in further updates; the end of it stays with the rest of the event. The first piece is what replaces others. */
function fitProgress({ replacesOutput, ...event }: Tool<'tool.updated' | 'tool.completed'>): readonly HarnessEvent[] {
  const toolCallId = fitId(event.toolCallId);
  const pieces = event.output === undefined ? [] : textPieces(event.output, pieceBytes);
  const output = pieces.at(-1);
  const anew = replacesOutput === undefined ? {} : { replacesOutput };
  const before = pieces
    .slice(0, -1)
    .map(
      (piece, index) => ({ type: 'tool.updated', toolCallId, output: piece, ...(index === 0 ? anew : {}) }) as const,
    );
  const rest = { toolCallId, ...(output === undefined ? {} : { output }), ...(before.length === 0 ? anew : {}) };
  if (event.type === 'tool.completed') {
    return [...before, { ...event, ...rest, content: fitBlocks(event.content, contentBytes) }];
  }
  const { title, content } = event;
  return [
    ...before,
    {
      ...event,
      ...rest,
      ...(title === undefined ? {} : { title: shorten(title, journalBounds.title) }),
      ...(content === undefined ? {} : { content: fitBlocks(content, contentBytes) }),
    },
  ];
}

/** What starts of tool calls and permission requests have in common. */
function fitCall(
  call: { toolCallId: string; title: string; kind: string; input?: JsonValue | undefined },
  mostInputBytes: number,
) {
  return {
    toolCallId: fitId(call.toolCallId),
    title: shorten(call.title, journalBounds.title),
    kind: shorten(call.kind, journalBounds.word),
    ...(call.input === undefined ? {} : { input: fitJson(call.input, mostInputBytes) }),
  };
}

function fitPlan(entries: Tool<'plan.updated'>['entries']): Tool<'plan.updated'>['entries'] {
  const fitted: Tool<'plan.updated'>['entries'] = [];
  let bytes = 0;
  for (const { content, priority, status } of entries) {
    const entry = {
      content: shorten(content, journalBounds.planText),
      priority: shorten(priority, journalBounds.word),
      status: shorten(status, journalBounds.word),
    };
    bytes += Buffer.byteLength(JSON.stringify(entry)) + 1;
    if (bytes > planBytes || fitted.length === journalBounds.planEntries - 1) {
      const content = leftOut(entries.length - fitted.length, entries.length, 'entries');
      return [...fitted, { content, priority: 'low', status: 'pending' }];
    }
    fitted.push(entry);
  }
  return fitted;
}

/** An id that is too long still gets one of its own, always the same. */
function fitId(id: string): string {
  if (id.length <= journalBounds.id) return id;
  return `${id.slice(0, 100).toWellFormed()}…${createHash('sha256').update(id).digest('hex')}`;
}
