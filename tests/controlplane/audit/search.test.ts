import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AuditFilter } from '../../../src/controlplane/audit/audit-store.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import { newAgentId, newUserId } from '../../../src/kernel/ids.ts';
import { aCall, AuditFixture } from './audit-fixture.ts';

let fixture: AuditFixture;
beforeEach(() => void (fixture = new AuditFixture()));
afterEach(() => fixture[Symbol.asyncDispose]());

test('finds by user, agent, action and time, all that are named, page by page', async () => {
  let now = 1_000;
  const { audit } = await fixture.open({ ...systemClock, now: () => now }, Number.MAX_SAFE_INTEGER);
  const users = [newUserId(), newUserId()];
  const agents = [newAgentId(), newAgentId(), newAgentId()];
  const actions = ['keys.create', 'files.write'];
  const made: { userId: string; agentId: string; action: string; at: number }[] = [];
  for (let each = 0; each < 60; each++) {
    now = 1_000 + 10 * each;
    const userId = users[each % 2] ?? newUserId();
    const agentId = agents[each % 3] ?? newAgentId();
    const action = actions[Math.floor(each / 2) % 2] ?? '';
    await (await audit.trail.begin(aCall({ userId, agentId, action }))).end({ outcome: 'ok' });
    made.push({ userId, agentId, action, at: now });
  }
  const found = async (filter: AuditFilter): Promise<number[]> => {
    const all: number[] = [];
    for (let cursor: string | null = null, pages = 0; pages < 100; pages++) {
      const page: Awaited<ReturnType<typeof audit.service.search>> = await audit.service.search(filter, {
        limit: 7,
        cursor,
      });
      expect(page.items.length).toBeLessThanOrEqual(7);
      all.push(...page.items.map(({ at }) => at));
      cursor = page.nextCursor;
      if (cursor === null) return all;
    }
    throw new Error('the pages do not end');
  };
  const [userId, agentId] = [users[0], agents[1]];
  const filters: AuditFilter[] = [
    {},
    { userId },
    { agentId },
    { action: 'keys.create' },
    { userId, agentId },
    { userId, agentId, action: 'files.write' },
    { since: 1_200 },
    { until: 1_200 },
    { since: 1_200, until: 1_400, userId },
    { since: 9_999 },
    { action: 'none' },
  ];
  for (const filter of filters) {
    const { since = 0, until = Infinity, ...fields } = filter;
    const expected = made
      .filter((each) => each.at >= since && each.at < until)
      .filter((each) => Object.entries(fields).every(([name, value]) => ({ ...each })[name as 'action'] === value))
      .map(({ at }) => at)
      .toReversed();
    expect(await found(filter), JSON.stringify(filter)).toEqual(expected);
  }
});

test('a search for what is rare looks at a bounded stretch a page, and comes to its end', async () => {
  const { audit } = await fixture.open();
  const rare = newUserId();
  const agentId = newAgentId();
  await (await audit.trail.begin(aCall({ userId: rare, agentId }))).end({ outcome: 'ok' });
  for (let batch = 0; batch < 21; batch++) {
    const entries = await Promise.all(Array.from({ length: 500 }, () => audit.trail.begin(aCall({ agentId }))));
    await Promise.all(entries.map((entry) => entry.end({ outcome: 'ok' })));
  }
  const first = await audit.service.search({ userId: rare, agentId }, { limit: 10, cursor: null });
  expect(first.items).toEqual([]);
  expect(first.nextCursor).not.toBeNull();
  const second = await audit.service.search({ userId: rare, agentId }, { limit: 10, cursor: first.nextCursor });
  expect(second.items).toMatchObject([{ seq: 1, userId: rare }]);
  expect(second.nextCursor).toBeNull();
});
