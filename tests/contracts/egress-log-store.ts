import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AgentStore } from '../../src/agents/ports.ts';
import {
  dayMs,
  type EgressLogEntry,
  type EgressLogStore,
  hourMs,
  keepUsageDays,
  mostEntries,
  mostEntriesAnHour,
} from '../../src/controlplane/egress/log/egress-log.ts';
import { type AgentId, newAgentId, newUserId } from '../../src/kernel/ids.ts';
import { now, storedAgent } from './store-records.ts';

const hour = Math.floor(now / hourMs) * hourMs;
const page = { limit: 200, cursor: null };

export function anEgressEntry(agentId: AgentId, of: Partial<EgressLogEntry> = {}): EgressLogEntry {
  return {
    agentId,
    hour,
    host: 'example.com',
    port: 443,
    decision: 'allow',
    outcome: 'closed',
    rule: '*.com',
    reason: null,
    connections: 2,
    withSecret: 1,
    sentBytes: 100,
    receivedBytes: 10_000_000_000,
    durationMs: 50,
    firstAt: hour + 5,
    lastAt: hour + 9,
    ...of,
  };
}

/** What every `EgressLogStore` does. Each test has an empty store. */
export function egressLogStoreContract(
  name: string,
  open: () => Promise<{
    readonly store: EgressLogStore;
    readonly agents: AgentStore;
    readonly close: () => Promise<void>;
  }>,
): void {
  describe(`the store of the egress log in ${name}`, () => {
    let opened: Awaited<ReturnType<typeof open>>;
    let store: EgressLogStore;
    beforeEach(async () => {
      opened = await open();
      store = opened.store;
    });
    afterEach(async () => {
      await opened.close();
    });

    test('entries of one place are added up; other places, rules and outcomes are entries of their own', async () => {
      const { agent } = await storedAgent(opened.agents);
      const entry = anEgressEntry(agent.id);
      const denied = { ...entry, decision: 'deny', outcome: 'denied', rule: null, reason: 'No rule.' } as const;
      await store.addToLog([entry, denied, { ...entry, port: 80 }]);
      await store.addToLog([{ ...entry, firstAt: hour + 1, lastAt: hour + 7 }, denied]);
      const twice = { connections: 4, withSecret: 2, sentBytes: 200, receivedBytes: 20_000_000_000, durationMs: 100 };
      expect((await store.listLog(agent.id, { host: null }, page)).items).toEqual([
        { ...entry, port: 80 },
        { ...denied, ...twice },
        { ...entry, ...twice, firstAt: hour + 1 },
      ]);
      expect((await store.listLog(agent.id, { host: 'other.example' }, page)).items).toEqual([]);
      expect((await store.listLog(agent.id, { host: 'example.com' }, { ...page, limit: 2 })).items).toHaveLength(2);
    });

    test('a chatty agent gets so many entries an hour, and one for all others; nothing is lost of the sums', async () => {
      const { agent } = await storedAgent(opened.agents);
      const places = Array.from({ length: mostEntriesAnHour + 50 }, (_, n) =>
        anEgressEntry(agent.id, { host: `h${n}.example`, connections: 1 }),
      );
      await store.addToLog(places);
      await store.addToLog(places);
      const { items } = await store.listLog(agent.id, { host: null }, page);
      const more = await store.listLog(agent.id, { host: '' }, page);
      expect(items).toHaveLength(200);
      expect(more.items).toMatchObject([{ host: '', port: 0, rule: null, connections: 100 }]);
      const [usage] = await store.listUsage({ agentId: agent.id }, 0);
      expect(usage).toMatchObject({ connections: 2 * places.length, sentBytes: 200 * places.length });
    });

    test('of an agent the newest entries are kept', async () => {
      const { agent } = await storedAgent(opened.agents);
      const hours = Math.ceil(mostEntries / 100) + 1;
      for (let n = 0; n < hours; n++) {
        const own = Array.from({ length: 100 }, (_, port) =>
          anEgressEntry(agent.id, { hour: hour + n * hourMs, port: port + 1 }),
        );
        await store.addToLog(own);
      }
      let count = 0;
      let oldest = Infinity;
      for (let cursor: string | null = null; ;) {
        const read = await store.listLog(agent.id, { host: null }, { limit: 200, cursor });
        count += read.items.length;
        oldest = Math.min(oldest, ...read.items.map((each) => each.hour));
        cursor = read.nextCursor;
        if (cursor === null) break;
      }
      expect(count).toBe(mostEntries);
      expect(oldest).toBe(hour + hourMs);
    });

    test('usage of so many days is kept, and a clock that is ahead for a while takes none with it', async () => {
      const { agent } = await storedAgent(opened.agents);
      const day = Math.floor(hour / dayMs) * dayMs;
      const far = anEgressEntry(agent.id, { hour: day + 10 * keepUsageDays * dayMs });
      await store.addToLog([anEgressEntry(agent.id), far]);
      await store.addToLog([anEgressEntry(agent.id)]);
      expect(await store.listUsage({ agentId: agent.id }, 0)).toMatchObject([
        { connections: 2 },
        { day, connections: 4 },
      ]);
      const days = Array.from({ length: keepUsageDays }, (_, n) => day + (n + 1) * dayMs);
      await store.addToLog(days.map((each) => anEgressEntry(agent.id, { hour: each })));
      const kept = await store.listUsage({ agentId: agent.id }, 0);
      expect([kept.length, kept.at(-1)?.day]).toEqual([keepUsageDays, day + 2 * dayMs]);
    });

    test('usage is by agent and day, of an agent, of a user or of everyone', async () => {
      const [one, two] = [await storedAgent(opened.agents), await storedAgent(opened.agents)];
      const day = Math.floor(hour / dayMs) * dayMs;
      const denied = anEgressEntry(one.agent.id, { decision: 'deny', outcome: 'denied', receivedBytes: 0 });
      await store.addToLog([anEgressEntry(one.agent.id), denied, anEgressEntry(two.agent.id)]);
      await store.addToLog([anEgressEntry(one.agent.id, { hour: hour + dayMs })]);
      const row = { agentId: one.agent.id, ownerId: one.agent.ownerId, day };
      const usual = { connections: 2, denied: 0, sentBytes: 100, receivedBytes: 10_000_000_000 };
      const own = [
        { ...row, day: day + dayMs, ...usual },
        { ...row, connections: 4, denied: 2, sentBytes: 200, receivedBytes: 10_000_000_000 },
      ];
      expect(await store.listUsage({ agentId: one.agent.id }, 0)).toEqual(own);
      expect(await store.listUsage({ ownerId: one.agent.ownerId }, day + dayMs)).toEqual(own.slice(0, 1));
      expect(await store.listUsage({ ownerId: null }, 0)).toHaveLength(3);
      expect(await store.listUsage({ ownerId: newUserId() }, 0)).toEqual([]);
    });

    test('what was noted as open when a process was killed is added once, by the last note, and in the sums', async () => {
      const [one, two] = [await storedAgent(opened.agents), await storedAgent(opened.agents)];
      const interrupted = { outcome: 'interrupted', reason: 'It was killed.', connections: 1, withSecret: 0 } as const;
      const ours = anEgressEntry(one.agent.id, interrupted);
      const gone = newAgentId();
      const open = new Map([
        [one.agent.id, [anEgressEntry(one.agent.id, { ...interrupted, sentBytes: 1 }), { ...ours, port: 80 }]],
        [two.agent.id, [anEgressEntry(two.agent.id, interrupted)]],
        [gone, [anEgressEntry(gone, interrupted)]],
      ]);
      await store.addToLog([], open);
      await store.addToLog([anEgressEntry(one.agent.id, { port: 80 })], new Map([[one.agent.id, [ours]]]));
      await store.addToLog([anEgressEntry(two.agent.id)], new Map([[two.agent.id, []]]));
      expect(await store.addLeftOpen()).toBe(1);
      expect(await store.addLeftOpen()).toBe(0);
      const { items } = await store.listLog(one.agent.id, { host: null }, page);
      expect(items).toEqual([ours, anEgressEntry(one.agent.id, { port: 80 })]);
      expect((await store.listLog(two.agent.id, { host: null }, page)).items).toEqual([anEgressEntry(two.agent.id)]);
      expect(await store.listUsage({ agentId: one.agent.id }, 0)).toMatchObject([{ connections: 3, sentBytes: 200 }]);
    });

    test('of an agent that is gone nothing is added, and all else is', async () => {
      const { agent } = await storedAgent(opened.agents);
      const gone = newAgentId();
      await store.addToLog([anEgressEntry(gone), anEgressEntry(agent.id)]);
      expect((await store.listLog(gone, { host: null }, page)).items).toEqual([]);
      expect(await store.listUsage({ ownerId: null }, 0)).toHaveLength(1);
    });
  });
}
