import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AgentStore, Page, PageRequest } from '../../../src/agents/ports.ts';
import { newRunId, newUserId } from '../../../src/kernel/ids.ts';
import { aConversation, aDelta, aMessage, anAgent, aPermission, aRun, now, storedAgent } from '../store-records.ts';

/** A listing of things that belong together, and how to add one more. */
interface Listing {
  readonly add: (createdAt: number) => Promise<string>;
  readonly page: (request: PageRequest) => Promise<Page<{ readonly id: string }>>;
  /** Whether the items of a page stand oldest first. */
  readonly oldestFirst: boolean;
}

interface LargeListing {
  readonly add: (size: number) => Promise<string>;
  readonly page: (request: PageRequest) => Promise<Page<{ readonly id: string }>>;
  readonly newestFirst: boolean;
}

export function pagingBehaviours(store: () => AgentStore): void {
  const listings: Readonly<Record<string, () => Promise<Listing>>> = {
    agents: async () => {
      const ownerId = newUserId();
      return {
        add: (createdAt) =>
          store().transaction(async (tx) => {
            const agent = anAgent({ ownerId, createdAt });
            await tx.insertAgent(agent);
            return agent.id;
          }),
        page: (request) => store().listAgents({ visibleTo: ownerId, among: null }, request),
        oldestFirst: false,
      };
    },
    conversations: async () => {
      const agent = anAgent();
      await store().transaction((tx) => tx.insertAgent(agent));
      return {
        add: (createdAt) =>
          store().transaction(async (tx) => {
            const conversation = aConversation(agent.id, { createdAt });
            await tx.insertConversation(conversation);
            return conversation.id;
          }),
        page: (request) => store().listConversations(agent.id, request),
        oldestFirst: false,
      };
    },
    messages: async () => {
      const { agent, conversation } = await storedAgent(store());
      return {
        add: (createdAt) =>
          store().transaction(async (tx) => {
            const message = aMessage(conversation, { createdAt });
            await tx.insertMessage(message);
            return message.id;
          }),
        page: (request) => store().listMessages(agent.id, conversation.id, request),
        oldestFirst: true,
      };
    },
    runs: async () => {
      const { agent, conversation } = await storedAgent(store());
      return {
        add: (acceptedAt) =>
          store().transaction(async (tx) => {
            const run = aRun(conversation, { acceptedAt });
            await tx.insertRun(run);
            return run.id;
          }),
        page: (request) => store().listRuns(agent.id, conversation.id, request),
        oldestFirst: false,
      };
    },
  };

  for (const [name, open] of Object.entries(listings)) {
    test(`pages of ${name} show every one once, newest first, while others are added`, async () => {
      const clock = fc.integer({ min: -2, max: 2 });
      await fc.assert(
        fc.asyncProperty(
          fc.array(clock, { maxLength: 12 }),
          fc.array(fc.record({ limit: fc.integer({ min: 1, max: 5 }), added: fc.array(clock, { maxLength: 2 }) }), {
            minLength: 1,
            maxLength: 4,
          }),
          async (before, rounds) => {
            const listing = await open();
            const ids: string[] = [];
            for (const step of before) ids.push(await listing.add(now + step));
            const shown: string[] = [];
            let cursor: string | null = null;
            for (let round = 0; round === 0 || cursor !== null; round++) {
              const { limit, added } = rounds[round] ?? { limit: 3, added: [] };
              const page: Page<{ readonly id: string }> = await listing.page({ limit, cursor });
              expect(page.items.length).toBeLessThanOrEqual(limit);
              const items = page.items.map(({ id }) => id);
              shown.push(...(listing.oldestFirst ? items.toReversed() : items));
              cursor = page.nextCursor;
              for (const step of added) await listing.add(now + step);
            }
            expect(shown).toEqual(ids.toReversed());
          },
        ),
        { numRuns: 25 },
      );
    });
  }

  const kibibyte = 1024;
  const text = (size: number): string => 'é'.repeat(size / 2);

  /** Listings of what sandboxes write: `add` stores one with a content of about so many bytes. */
  const largeListings: Readonly<Record<string, () => Promise<LargeListing>>> = {
    messages: async () => {
      const { agent, conversation } = await storedAgent(store());
      return {
        add: async (size) => {
          const message = aMessage(conversation, { content: [{ type: 'text', text: text(size) }] });
          await store().transaction((tx) => tx.insertMessage(message));
          return message.id;
        },
        page: async (request) => {
          const { items, nextCursor } = await store().listMessages(agent.id, null, request);
          return { items: items.toReversed(), nextCursor };
        },
        newestFirst: true,
      };
    },
    'pending permissions': async () => {
      const { agent, conversation } = await storedAgent(store());
      return {
        add: async (size) => {
          const permission = aPermission(conversation, {
            input: text(size / 2),
            content: [{ type: 'text', text: text(size / 2) }],
          });
          await store().transaction((tx) => tx.insertPermission(permission));
          return permission.id;
        },
        page: (request) => store().listPendingPermissions({ agentId: agent.id }, request),
        newestFirst: false,
      };
    },
    events: async () => {
      const { agent } = await storedAgent(store());
      return {
        add: async (size) => {
          const { events } = await store().transaction((tx) => tx.appendEvents(agent.id, [aDelta(text(size))]));
          return String(events[0]?.seq);
        },
        page: async ({ limit, cursor }) => {
          const events = await store().readEvents(agent.id, Number(cursor), limit);
          const items = events.map((event) => ({ ...event, id: String(event.seq) }));
          const { last } = await store().eventBounds(agent.id);
          return {
            items,
            nextCursor: items.at(-1)?.seq === last || items.length === 0 ? null : (items.at(-1)?.id ?? null),
          };
        },
        newestFirst: false,
      };
    },
  };

  for (const [name, open] of Object.entries(largeListings)) {
    test(`a page of ${name} ends before 1 MiB, and the next ones show the rest, each once`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.constantFrom(100, 40 * kibibyte, 400 * kibibyte, 900 * kibibyte, 2_048 * kibibyte), {
            maxLength: 9,
          }),
          fc.integer({ min: 1, max: 7 }),
          async (sizes, limit) => {
            const listing = await open();
            const ids: string[] = [];
            for (const size of sizes) ids.push(await listing.add(size));
            const shown: string[] = [];
            let cursor: string | null = null;
            do {
              const page: Page<{ readonly id: string }> = await listing.page({ limit, cursor });
              expect(page.items.length).toBeLessThanOrEqual(limit);
              const [, ...rest] = page.items;
              expect(Buffer.byteLength(JSON.stringify(rest))).toBeLessThan(1_024 * kibibyte + rest.length * kibibyte);
              if (page.nextCursor !== null) expect(page.items.length).toBeGreaterThan(0);
              shown.push(...page.items.map(({ id }) => id));
              cursor = page.nextCursor;
            } while (cursor !== null);
            expect(shown).toEqual(listing.newestFirst ? ids.toReversed() : ids);
          },
        ),
        { numRuns: 15 },
      );
    });
  }

  test('a reply that is too large for one answer is given from its end', async () => {
    const { conversation } = await storedAgent(store());
    const runId = newRunId();
    const messages = [100, 900, 900, 900].map((size, index) =>
      aMessage(conversation, {
        runId,
        role: index === 0 ? 'user' : 'agent',
        content: [{ type: 'text', text: text(size * kibibyte) }],
      }),
    );
    for (const message of messages) await store().transaction((tx) => tx.insertMessage(message));
    expect(await store().listReply(runId)).toEqual({ messages: messages.slice(2), isCut: true });
  });

  test('a page goes on after the row that its cursor names is gone', async () => {
    const ownerId = newUserId();
    const [a, b, c, d] = [anAgent({ ownerId }), anAgent({ ownerId }), anAgent({ ownerId }), anAgent({ ownerId })];
    for (const agent of [a, b, c, d]) await store().transaction((tx) => tx.insertAgent(agent));
    const first = await store().listAgents({ visibleTo: ownerId, among: null }, { limit: 2, cursor: null });
    expect(first.items).toEqual([d, c]);
    await store().transaction((tx) => tx.deleteAgent(c.id));
    const second = await store().listAgents(
      { visibleTo: ownerId, among: null },
      { limit: 2, cursor: first.nextCursor },
    );
    expect(second).toEqual({ items: [b, a], nextCursor: null });
  });

  test('agents of everyone are listed when no owner is given', async () => {
    const agents = [anAgent(), anAgent()];
    for (const agent of agents) await store().transaction((tx) => tx.insertAgent(agent));
    const page = await store().listAgents({ visibleTo: null, among: null }, { limit: 2, cursor: null });
    expect(page.items).toEqual(agents.toReversed());
  });

  test('a cursor that is none, or another listing’s, and a limit out of range are BAD_REQUEST', async () => {
    const { agent, conversation } = await storedAgent(store());
    for (let added = 0; added < 3; added++) {
      await store().transaction((tx) => tx.insertMessage(aMessage(conversation)));
    }
    const { nextCursor } = await store().listMessages(agent.id, null, { limit: 2, cursor: null });
    expect(nextCursor).not.toBeNull();
    const bad = { code: 'BAD_REQUEST' };
    for (const cursor of [
      '',
      'x',
      '12',
      `${nextCursor}=`,
      `${nextCursor}A`,
      "' or 1=1",
      'bWVzc2FnZXM6',
      'bWVzc2FnZXM6LTE6',
    ]) {
      await expect(store().listMessages(agent.id, null, { limit: 2, cursor })).rejects.toMatchObject(bad);
    }
    await expect(store().listRuns(agent.id, null, { limit: 2, cursor: nextCursor })).rejects.toMatchObject(bad);
    for (const limit of [0, -1, 1.5, 201, Number.NaN]) {
      await expect(store().listAgents({ visibleTo: null, among: null }, { limit, cursor: null })).rejects.toMatchObject(
        bad,
      );
    }
  });
}
