import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AgentEvent } from '../../src/agents/event.ts';
import { EventLog } from '../../src/agents/event-log.ts';
import { silentLogger } from '../../src/kernel/logger.ts';
import { openDomain } from './domain-fixture.ts';

const draft = (name: string) => ({
  conversationId: null,
  runId: null,
  at: 0,
  data: { type: 'agent.created', name } as const,
});

async function collect(
  log: EventLog,
  from: { agentId: AgentEvent['agentId']; after: number; until: number },
): Promise<number[]> {
  const stop = new AbortController();
  const seen: number[] = [];
  for await (const events of log.subscribe({ ...from, signal: stop.signal })) {
    seen.push(...events.map(({ seq }) => seq));
    if (seen.includes(from.until)) stop.abort();
  }
  return seen;
}

test('a subscriber with a cursor gets every later event once and in order, whenever it comes', async () => {
  await using fixture = await openDomain();
  const agent = await fixture.newAgent();
  const log = new EventLog({
    store: fixture.storage.agents,
    retention: { events: 1_000_000, bytes: Infinity },
    logger: silentLogger,
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 12 }),
      fc.array(fc.tuple(fc.nat(11), fc.nat(20)), { minLength: 1, maxLength: 6 }),
      async (batches, subscribers) => {
        const { last: before } = await fixture.storage.agents.eventBounds(agent.id);
        const last = before + batches.reduce((sum, size) => sum + size, 0);
        const reading: Promise<void>[] = [];
        for (const [index, size] of batches.entries()) {
          for (const [when, back] of subscribers) {
            if (when % batches.length !== index) continue;
            const { last: present } = await fixture.storage.agents.eventBounds(agent.id);
            const after = Math.max(0, present - back);
            reading.push(
              collect(log, { agentId: agent.id, after, until: last }).then((seen) => {
                expect(seen).toEqual(Array.from({ length: last - after }, (_, i) => after + 1 + i));
              }),
            );
          }
          await log.write(agent.id, async (_tx, record) => {
            for (let i = 0; i < size; i++) record(draft(`${index}.${i}`));
          });
        }
        await Promise.all(reading);
      },
    ),
    { numRuns: 60 },
  );
});

test('a cursor from the future is refused, and says where the log ends', async () => {
  await using fixture = await openDomain();
  const agent = await fixture.newAgent();
  const { last } = await fixture.storage.agents.eventBounds(agent.id);
  await expect(fixture.domain.events.read({ agentId: agent.id, after: last + 1, limit: 10 })).rejects.toMatchObject({
    code: 'CURSOR_AHEAD',
    details: { last },
  });
});

test('a cursor older than what is kept is refused, and numbering goes on', async () => {
  await using fixture = await openDomain();
  const agent = await fixture.newAgent();
  const log = new EventLog({
    store: fixture.storage.agents,
    retention: { events: 100, bytes: Infinity },
    logger: silentLogger,
  });
  for (let i = 0; i < 40; i++) {
    await log.write(agent.id, async (_tx, record) => {
      for (let k = 0; k < 50; k++) record(draft(`${i}.${k}`));
    });
  }
  await expect(log.read({ agentId: agent.id, after: 0, limit: 10 })).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' });
  const { first, last } = await fixture.storage.agents.eventBounds(agent.id);
  expect(last - first + 1).toBeLessThan(2_000);
  expect((await log.read({ agentId: agent.id, after: first - 1, limit: 1 }))[0]?.seq).toBe(first);
});

test('however long events are, no more than twice the bytes that are kept is stored, and the newest stay', async () => {
  await using fixture = await openDomain();
  const agent = await fixture.newAgent();
  const bytes = 1e6;
  const log = new EventLog({
    store: fixture.storage.agents,
    retention: { events: 100_000, bytes },
    logger: silentLogger,
  });
  for (let i = 0; i < 60; i++) {
    await log.write(agent.id, async (_tx, record) => record(draft('x'.repeat(100_000))));
    await log.room(agent.id);
    const { first, last } = await fixture.storage.agents.eventBounds(agent.id);
    expect((last - first) * 100_000).toBeLessThan(2 * bytes);
  }
  const { first, last } = await fixture.storage.agents.eventBounds(agent.id);
  expect(first).toBeGreaterThan(30);
  expect(await collect(log, { agentId: agent.id, after: first - 1, until: last })).toHaveLength(last - first + 1);
});

test('the subscribers of a deleted agent end with AGENT_NOT_FOUND', async () => {
  await using fixture = await openDomain();
  const agent = await fixture.newAgent();
  const events = fixture.domain.events.subscribe({ agentId: agent.id, after: 0, signal: new AbortController().signal });
  const reading = (async () => {
    for await (const batch of events) expect(batch.length).toBeGreaterThan(0);
  })();
  await Promise.all([
    expect(reading).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' }),
    fixture.domain.agents.delete(agent.id),
  ]);
});
