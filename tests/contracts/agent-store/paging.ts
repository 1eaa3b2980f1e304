import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AgentStore, Page, PageRequest } from '../../../src/agents/ports.ts';
import { newUserId } from '../../../src/kernel/ids.ts';
import { aConversation, aMessage, anAgent, aRun, now, storedAgent } from '../store-records.ts';

/** A listing of things that belong together, and how to add one more. */
interface Listing {
  readonly add: (createdAt: number) => Promise<string>;
  readonly page: (request: PageRequest) => Promise<Page<{ readonly id: string }>>;
  /** Whether the items of a page stand oldest first. */
  readonly oldestFirst: boolean;
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
        page: (request) => store().listAgents(ownerId, request),
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

  test('a page goes on after the row that its cursor names is gone', async () => {
    const ownerId = newUserId();
    const [a, b, c, d] = [anAgent({ ownerId }), anAgent({ ownerId }), anAgent({ ownerId }), anAgent({ ownerId })];
    for (const agent of [a, b, c, d]) await store().transaction((tx) => tx.insertAgent(agent));
    const first = await store().listAgents(ownerId, { limit: 2, cursor: null });
    expect(first.items).toEqual([d, c]);
    await store().transaction((tx) => tx.deleteAgent(c.id));
    const second = await store().listAgents(ownerId, { limit: 2, cursor: first.nextCursor });
    expect(second).toEqual({ items: [b, a], nextCursor: null });
  });

  test('agents of everyone are listed when no owner is given', async () => {
    const agents = [anAgent(), anAgent()];
    for (const agent of agents) await store().transaction((tx) => tx.insertAgent(agent));
    const page = await store().listAgents(null, { limit: 2, cursor: null });
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
      await expect(store().listAgents(null, { limit, cursor: null })).rejects.toMatchObject(bad);
    }
  });
}
