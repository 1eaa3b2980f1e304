import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AgentEvent } from '../../../src/agents/event.ts';
import type { AgentStore } from '../../../src/agents/ports.ts';
import { newAgentId, newIncarnationId, newMessageId, newRunId } from '../../../src/kernel/ids.ts';
import { aDelta, now, storedAgent } from '../store-records.ts';

export function eventBehaviours(store: () => AgentStore): void {
  test('events are numbered from 1, returned as stored, and read in order after a number', async () => {
    const { agent, conversation } = await storedAgent(store());
    const drafts = [
      aDelta('a', { conversationId: conversation.id, runId: newRunId(), at: now + 1 }),
      aDelta('b'),
      aDelta('c'),
    ];
    const stored = await store().transaction(async (tx) => {
      expect((await tx.appendEvents(agent.id, [])).events).toEqual([]);
      return [
        ...(await tx.appendEvents(agent.id, drafts.slice(0, 1))).events,
        ...(await tx.appendEvents(agent.id, drafts.slice(1))).events,
      ];
    });
    expect(stored).toEqual(
      drafts.map(({ data, ...where }, index) => ({ seq: index + 1, agentId: agent.id, ...where, ...data })),
    );
    expect(await store().readEvents(agent.id, 0, 10)).toEqual(stored);
    expect(await store().readEvents(agent.id, 1, 1)).toEqual([stored[1]]);
    expect(await store().readEvents(agent.id, 3, 10)).toEqual([]);
    expect(await store().readEvents(newAgentId(), 0, 10)).toEqual([]);
  });

  test('a batch of any size is stored whole', async () => {
    const { agent } = await storedAgent(store());
    const batch = Array.from({ length: 3_000 }, (_, index) => aDelta(`${index}`));
    const { events: stored } = await store().transaction((tx) => tx.appendEvents(agent.id, batch));
    expect(await store().readEvents(agent.id, 0, 5_000)).toEqual(stored);
    expect(stored.at(-1)?.seq).toBe(3_000);
  });

  test('any text and any JSON is read back as it was written', async () => {
    const { agent } = await storedAgent(store());
    const text = fc.string({ unit: 'binary' });
    await fc.assert(
      fc.asyncProperty(text, fc.jsonValue({ noUnicodeString: false }), async (delta, update) => {
        const json = JSON.parse(JSON.stringify(update)); // without -0
        const { events: stored } = await store().transaction((tx) =>
          tx.appendEvents(agent.id, [
            {
              conversationId: null,
              runId: null,
              at: now,
              data: { type: 'harness.other', sessionUpdate: delta, update: json },
            },
            aDelta(delta),
          ]),
        );
        expect(await store().readEvents(agent.id, (stored[0]?.seq ?? 0) - 1, 2)).toEqual(stored);
      }),
      { numRuns: 200 },
    );
  });

  test('events beyond the bytes that are kept are forgotten, the oldest first, however long each is', async () => {
    const { agent } = await storedAgent(store());
    const sizes = [10, 30_000, 200, 0, 7_000, 50_000, 1];
    const storedBytes: number[] = [];
    const stored: AgentEvent[] = [];
    for (const size of sizes) {
      const appended = await store().transaction((tx) => tx.appendEvents(agent.id, [aDelta('é'.repeat(size))]));
      stored.push(...appended.events);
      storedBytes.push(appended.storedBytes);
    }
    const all = storedBytes.at(-1) ?? 0;
    expect(all).toBe(
      sizes.reduce((sum, size) => sum + Buffer.byteLength(JSON.stringify(aDelta('é'.repeat(size)).data)), 0),
    );
    await store().pruneEvents(agent.id, { events: 100, bytes: all });
    expect(await store().readEvents(agent.id, 0, 10)).toEqual(stored);
    // Beyond the first three.
    const kept = all - (storedBytes[2] ?? 0);
    await store().pruneEvents(agent.id, { events: 100, bytes: kept });
    expect(await store().readEvents(agent.id, 0, 10)).toEqual(stored.slice(3));
    expect((await store().transaction((tx) => tx.appendEvents(agent.id, [aDelta('')]))).storedBytes).toBe(
      kept + Buffer.byteLength(JSON.stringify(aDelta('').data)),
    );
    await store().pruneEvents(agent.id, { events: 100, bytes: 0 });
    expect(await store().readEvents(agent.id, 0, 10)).toEqual([]);
    expect((await store().transaction((tx) => tx.appendEvents(agent.id, [aDelta('x')]))).storedBytes).toBe(
      Buffer.byteLength(JSON.stringify(aDelta('x').data)),
    );
  });

  test('pruned events stay counted: numbering goes on, also when none is left', async () => {
    const { agent } = await storedAgent(store());
    const other = await storedAgent(store());
    expect(await store().eventBounds(agent.id)).toEqual({ first: 1, last: 0 });
    await store().transaction((tx) => tx.appendEvents(other.agent.id, [aDelta('x')]));
    await store().transaction((tx) =>
      tx.appendEvents(
        agent.id,
        [1, 2, 3, 4, 5].map(String).map((text) => aDelta(text)),
      ),
    );
    expect(await store().eventBounds(agent.id)).toEqual({ first: 1, last: 5 });
    await store().pruneEvents(agent.id, { events: 2, bytes: Infinity });
    expect(await store().eventBounds(agent.id)).toEqual({ first: 4, last: 5 });
    expect((await store().readEvents(agent.id, 0, 10)).map(({ seq }) => seq)).toEqual([4, 5]);
    await store().pruneEvents(agent.id, { events: 0, bytes: Infinity });
    expect(await store().eventBounds(agent.id)).toEqual({ first: 6, last: 5 });
    const { events } = await store().transaction((tx) => tx.appendEvents(agent.id, [aDelta('6')]));
    expect(events[0]?.seq).toBe(6);
    expect(await store().eventBounds(agent.id)).toEqual({ first: 6, last: 6 });
    expect(await store().eventBounds(other.agent.id)).toEqual({ first: 1, last: 1 });
  });

  test('numbers have no gap and no repeat, however transactions interleave, fail and prune', async () => {
    const step = fc.record({
      agent: fc.integer({ min: 0, max: 1 }),
      batches: fc.array(fc.integer({ min: 0, max: 70 }), { maxLength: 3 }),
      pauses: fc.integer({ min: 0, max: 5 }),
      ending: fc.constantFrom('commit', 'commit', 'throw', 'prune'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        const agents = [(await storedAgent(store())).agent.id, (await storedAgent(store())).agent.id];
        const idOf = (index: number) => agents[index] ?? newAgentId();
        const outcomes = await Promise.allSettled(
          steps.map((work) =>
            store().transaction(async (tx) => {
              const written: AgentEvent[] = [];
              for (const size of work.batches) {
                written.push(
                  ...(
                    await tx.appendEvents(
                      idOf(work.agent),
                      Array.from({ length: size }, () => aDelta('.')),
                    )
                  ).events,
                );
                for (let pause = 0; pause < work.pauses; pause++) await Promise.resolve();
              }
              if (work.ending === 'throw') throw new Error('rolled back');
              return written;
            }),
          ),
        );
        for (const [index, agentId] of agents.entries()) {
          const expected = outcomes.flatMap((outcome, at) =>
            outcome.status === 'fulfilled' && steps[at]?.agent === index ? outcome.value : [],
          );
          expect(expected.map(({ seq }) => seq)).toEqual(expected.map((_, at) => at + 1));
          expect(await store().readEvents(agentId, 0, 10_000)).toEqual(expected);
          if (steps.some(({ agent, ending }) => agent === index && ending === 'prune')) {
            await store().pruneEvents(agentId, { events: 0, bytes: Infinity });
            const { events } = await store().transaction((tx) => tx.appendEvents(agentId, [aDelta('next')]));
            expect(events[0]?.seq).toBe(expected.length + 1);
          }
        }
      }),
      { numRuns: 40 },
    );
  });

  test('the journal position is 0 at first, kept for each incarnation, and never moves back', async () => {
    const { agent } = await storedAgent(store());
    const [one, two] = [newIncarnationId(), newIncarnationId()];
    expect(await store().journalPosition(agent.id, one)).toBe(0);
    await store().transaction(async (tx) => {
      await tx.setJournalPosition(agent.id, one, 7);
      await tx.setJournalPosition(agent.id, two, 2);
      expect(await tx.journalPosition(agent.id, one)).toBe(7);
    });
    await store().transaction((tx) => tx.setJournalPosition(agent.id, one, 5));
    expect(await store().journalPosition(agent.id, one)).toBe(7);
    await store().transaction((tx) => tx.setJournalPosition(agent.id, one, 8));
    expect(await store().journalPosition(agent.id, one)).toBe(8);
    expect(await store().journalPosition(agent.id, two)).toBe(2);
  });

  test('an event of a message is found by what it says, not by its row', async () => {
    const { agent } = await storedAgent(store());
    const messageId = newMessageId();
    const data = { type: 'message.completed', messageId, content: [{ type: 'text', text: 'Done.' }] } as const;
    await store().transaction((tx) =>
      tx.appendEvents(agent.id, [
        { conversationId: null, runId: null, at: now, data: { ...data, content: [...data.content] } },
      ]),
    );
    const [event] = await store().readEvents(agent.id, 0, 1);
    expect(event).toEqual({ seq: 1, agentId: agent.id, conversationId: null, runId: null, at: now, ...data });
  });
}
