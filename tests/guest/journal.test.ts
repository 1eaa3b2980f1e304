import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { maxMergedText } from '../../src/guest/coalescing.ts';
import { Journal, type JournalReader } from '../../src/guest/journal.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { newConversationId, newMessageId, newRunId } from '../../src/kernel/ids.ts';
import type { HarnessEvent } from '../../src/wire/contract/harness-event.ts';
import { type JournalBody, type JournalEntry, journalEntrySchema } from '../../src/wire/contract/journal-entry.ts';

const conversationId = newConversationId();
const runs = [newRunId(), newRunId()];
const messages = [newMessageId(), newMessageId()];

const deaf = { available: () => undefined, displaced: () => undefined };

const parse = (lines: string): JournalEntry[] =>
  lines
    .split('\n')
    .slice(0, -1)
    .map((line) => journalEntrySchema.parse(JSON.parse(line)));

const event = (event: HarnessEvent, runId = runs[0] ?? null): JournalBody => ({
  type: 'event',
  conversationId,
  runId,
  event,
});
const delta = (text: string, offset: number, messageId = messages[0] ?? newMessageId()): JournalBody =>
  event({ type: 'message.delta', messageId, delta: text, offset });

/** What a body says, unit by unit, so that merged and unmerged entries compare equal. */
function units(body: JournalBody): string[] {
  if (body.type !== 'event') return [JSON.stringify(body)];
  const { event, runId } = body;
  const each = (key: string, text: string, offset: number | null) =>
    Array.from(
      { length: text.length },
      (_, i) => `${runId} ${key} ${offset === null ? '' : offset + i} ${text.charCodeAt(i)}`,
    );
  if (event.type === 'message.delta' || event.type === 'thought.delta') {
    return each(`${event.type} ${event.messageId}`, event.delta, event.offset);
  }
  if (event.type === 'tool.updated' && event.output !== undefined && event.title === undefined) {
    const output = each(`output ${event.toolCallId}`, event.output, null);
    return event.replacesOutput === true ? [`${runId} anew ${event.toolCallId}`, ...output] : output;
  }
  return [JSON.stringify(body)];
}

test('entries are numbered from 1 without gaps and keep their order', () => {
  const journal = new Journal({ clock: systemClock });
  for (const version of ['a', 'b', 'c']) journal.append({ type: 'harness.started', harness: 'fake', version });
  const entries = parse(journal.attach(0, deaf).take(1_000_000));
  expect(entries.map(({ seq }) => seq)).toEqual([1, 2, 3]);
  expect(entries.map(({ body }) => body)).toMatchObject([{ version: 'a' }, { version: 'b' }, { version: 'c' }]);
});

test('deltas that follow one another become one entry until a reader has had it', () => {
  const journal = new Journal({ clock: systemClock });
  const reader = journal.attach(0, deaf);
  journal.append(delta('Hel', 0));
  journal.append(delta('lo', 3));
  expect(parse(reader.take(1_000_000))).toMatchObject([{ seq: 1, body: { event: { delta: 'Hello', offset: 0 } } }]);
  journal.append(delta(' you', 5));
  expect(parse(reader.take(1_000_000))).toMatchObject([{ seq: 2, body: { event: { delta: ' you', offset: 5 } } }]);
  expect(parse(journal.attach(0, deaf).take(1_000_000))).toHaveLength(2);
});

test.for([
  ['another message', delta('b', 0, messages[1])],
  ['a gap', delta('b', 2)],
  ['a repeat', delta('a', 0)],
  [
    'another run',
    event({ type: 'message.delta', messageId: messages[0] ?? newMessageId(), delta: 'b', offset: 1 }, runs[1]),
  ],
  ['a thought', event({ type: 'thought.delta', messageId: messages[0] ?? newMessageId(), delta: 'b', offset: 1 })],
  ['too much text', delta('b'.repeat(maxMergedText), 1)],
  ['something else', event({ type: 'usage.updated', used: 1, size: 2 })],
] as const)('a delta is not merged with %s', ([, next]) => {
  const journal = new Journal({ clock: systemClock });
  journal.append(delta('a', 0));
  journal.append(next);
  expect(journal.head).toBe(2);
});

test('outputs of one tool call are merged, an update with a title stays by itself', () => {
  const journal = new Journal({ clock: systemClock });
  journal.append(event({ type: 'tool.updated', toolCallId: 't', output: 'a' }));
  journal.append(event({ type: 'tool.updated', toolCallId: 't', output: 'b' }));
  journal.append(event({ type: 'tool.updated', toolCallId: 't', output: 'c', title: 'T' }));
  journal.append(event({ type: 'tool.updated', toolCallId: 't', output: 'd' }));
  journal.append(event({ type: 'tool.updated', toolCallId: 'u', output: 'e' }));
  const entries = parse(journal.attach(0, deaf).take(1_000_000));
  expect(entries.map(({ body }) => body)).toMatchObject(['ab', 'c', 'd', 'e'].map((output) => ({ event: { output } })));
});

test('output that begins anew is merged with what follows it, and with nothing before it', () => {
  const journal = new Journal({ clock: systemClock });
  journal.append(event({ type: 'tool.updated', toolCallId: 't', output: 'b' }));
  journal.append(event({ type: 'tool.updated', toolCallId: 't', output: 'a', replacesOutput: true }));
  journal.append(event({ type: 'tool.updated', toolCallId: 't', output: 'b' }));
  const entries = parse(journal.attach(0, deaf).take(1_000_000));
  expect(entries.map(({ body }) => body)).toEqual([
    event({ type: 'tool.updated', toolCallId: 't', output: 'b' }),
    event({ type: 'tool.updated', toolCallId: 't', output: 'ab', replacesOutput: true }),
  ]);
});

test('a number that is acknowledged or was never given out cannot be read from or acknowledged', () => {
  const journal = new Journal({ clock: systemClock });
  for (const version of ['a', 'b', 'c']) journal.append({ type: 'harness.started', harness: 'fake', version });
  journal.acknowledge(2);
  journal.acknowledge(1); // an older one changes nothing
  expect(journal.acknowledged).toBe(2);
  for (const after of [1, 4]) {
    expect(() => journal.attach(after, deaf)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }));
  }
  expect(() => journal.acknowledge(4)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }));
  expect(parse(journal.attach(2, deaf).take(1_000))).toMatchObject([{ seq: 3 }]);
});

test('a new reader displaces the one before, which gets nothing more', () => {
  const journal = new Journal({ clock: systemClock });
  let displaced = 0;
  const first = journal.attach(0, { ...deaf, displaced: () => displaced++ });
  const second = journal.attach(0, deaf);
  journal.append({ type: 'harness.started', harness: 'fake', version: '1' });
  first.detach(); // and cannot take the place back
  expect(displaced).toBe(1);
  expect(first.take(1_000)).toBe('');
  expect(parse(second.take(1_000))).toHaveLength(1);
});

test('room waits while the journal is full and comes with the acknowledgement', async () => {
  const journal = new Journal({ clock: systemClock, maxBytes: 1_000 });
  const reader = journal.attach(0, deaf);
  await journal.room();
  while (!journal.full) journal.append({ type: 'harness.started', harness: 'fake', version: 'x'.repeat(100) });
  let room = false;
  const waiting = Promise.all([journal.room(), journal.room()]).then(() => (room = true));
  reader.take(1_000_000);
  await new Promise((resolve) => setImmediate(resolve));
  expect(room).toBe(false);
  journal.acknowledge(1);
  await waiting;
  expect(journal.full).toBe(false);
});

test('an event that no line can hold is replaced by one that says so', () => {
  const journal = new Journal({ clock: systemClock, maxLineBytes: 500 });
  journal.append(delta('x'.repeat(1_000), 0));
  journal.append(delta('y', 1_000));
  expect(parse(journal.attach(0, deaf).take(10_000))).toMatchObject([
    { seq: 1, body: { runId: runs[0], event: { type: 'harness.other', update: { type: 'message.delta' } } } },
    { seq: 2, body: { event: { delta: 'y' } } },
  ]);
});

const codeUnits = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0xd800, max: 0xdfff })), { maxLength: 12 })
  .map((codes) => String.fromCharCode(...codes));

type Step =
  | { readonly do: 'say' | 'think' | 'output' | 'output anew'; readonly who: 0 | 1; readonly text: string }
  | { readonly do: 'other' }
  | { readonly do: 'take'; readonly maxBytes: number; readonly lost: boolean }
  | { readonly do: 'acknowledge'; readonly share: number }
  | { readonly do: 'reconnect' };

const who = fc.constantFrom<(0 | 1)[]>(0, 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constantFrom('say', 'think', 'output', 'output anew'), who, text: codeUnits }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('other' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('take' as const),
      maxBytes: fc.integer({ min: 1, max: 2_000 }),
      lost: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('acknowledge' as const),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reconnect' as const) }) },
);

/** A journal, the agent that fills it, and a control plane that stores what it gets and may lose the wire. */
class Bench {
  readonly journal = new Journal({ clock: systemClock, maxBytes: 3_000 });
  readonly said: string[] = [];
  readonly stored: JournalEntry[] = [];
  readonly #offsets = new Map<string, number>();
  readonly #sent = new Map<number, string>();
  #reader: JournalReader = this.journal.attach(0, deaf);

  append(body: JournalBody): void {
    this.said.push(...units(body));
    this.journal.append(body);
  }

  run(step: Step): void {
    switch (step.do) {
      case 'say':
      case 'think': {
        const messageId = messages[step.who] ?? newMessageId();
        const key = `${step.do} ${messageId}`;
        const offset = this.#offsets.get(key) ?? 0;
        this.#offsets.set(key, offset + step.text.length);
        const type = step.do === 'say' ? 'message.delta' : 'thought.delta';
        this.append(event({ type, messageId, delta: step.text, offset }));
        return;
      }
      case 'output':
      case 'output anew': {
        const anew = step.do === 'output anew' ? { replacesOutput: true as const } : {};
        this.append(event({ type: 'tool.updated', toolCallId: `t${step.who}`, output: step.text, ...anew }));
        return;
      }
      case 'other':
        this.append(event({ type: 'usage.updated', used: this.said.length, size: 0 }));
        return;
      case 'take':
        this.take(step.maxBytes, step.lost);
        return;
      case 'acknowledge':
        this.journal.acknowledge(Math.floor(step.share * this.stored.length));
        return;
      case 'reconnect':
        this.#reader = this.journal.attach(this.stored.length, deaf);
        return;
    }
  }

  take(maxBytes: number, lost: boolean): void {
    const lines = this.#reader.take(maxBytes);
    for (const entry of parse(lines)) {
      const line = JSON.stringify(entry);
      expect(this.#sent.get(entry.seq) ?? line).toBe(line); // what was handed out never changes
      this.#sent.set(entry.seq, line);
      if (lost) continue;
      expect(entry.seq).toBe(this.stored.length + 1);
      this.stored.push(entry);
    }
    if (lost) this.#reader = this.journal.attach(this.stored.length, deaf);
  }

  heldBytes(): number {
    return [...this.#sent].reduce(
      (sum, [seq, line]) => (seq > this.journal.acknowledged ? sum + Buffer.byteLength(line) + 1 : sum),
      0,
    );
  }
}

test('whatever is appended arrives exactly once and in order, however reading, losing, and acknowledging interleave', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const bench = new Bench();
      for (const each of steps) {
        bench.run(each);
        expect(bench.journal.full).toBe(bench.journal.bytes > 3_000);
      }
      bench.take(Number.MAX_SAFE_INTEGER, false);
      expect(bench.stored.map(({ seq }) => seq)).toEqual(bench.stored.map((_, index) => index + 1));
      expect(bench.stored.flatMap(({ body }) => units(body))).toEqual(bench.said);
      expect(bench.journal.bytes).toBe(bench.heldBytes()); // all is handed out now, so the count is exact
      bench.journal.acknowledge(bench.stored.length);
      expect(bench.journal.bytes).toBe(0);
    }),
    { numRuns: 300 },
  );
});

test('a harness that waits for room keeps the journal within its bound and one entry', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(codeUnits, { minLength: 20, maxLength: 80 }), async (texts) => {
      const bound = 1_000;
      const journal = new Journal({ clock: systemClock, maxBytes: bound });
      const largest = 400 + 12 * 6;
      const harness = (async () => {
        for (const [index, text] of texts.entries()) {
          await journal.room();
          journal.append(event({ type: 'tool.updated', toolCallId: `t${index}`, output: text }));
          expect(journal.bytes).toBeLessThanOrEqual(bound + largest);
        }
      })();
      const reader = journal.attach(0, deaf);
      const stored: JournalEntry[] = [];
      while (stored.length < texts.length) {
        stored.push(...parse(reader.take(500)));
        journal.acknowledge(stored.length);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await harness;
      expect(stored).toHaveLength(texts.length);
    }),
    { numRuns: 20 },
  );
});
