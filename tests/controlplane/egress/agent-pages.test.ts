import { expect, test } from 'vitest';
import { AgentPages } from '../../../src/controlplane/egress/agent-pages.ts';
import { type AgentId, newAgentId } from '../../../src/kernel/ids.ts';
import { anAgent } from '../../contracts/store-records.ts';

const findAgent = async (id: AgentId) => anAgent({ id });

test('a page is read once, and anew after what it holds has changed', async () => {
  let reads = 0;
  const pages = new AgentPages({ findAgent }, async () => ({ read: ++reads }));
  const id = newAgentId();
  expect(await pages.open(id)).toBe(await pages.open(id));
  pages.forget();
  expect(await pages.open(id)).toEqual({ read: 2 });
});

test('a page that was read while something changed is not kept', async () => {
  const started = Promise.withResolvers<void>();
  const read = Promise.withResolvers<void>();
  let reads = 0;
  const pages = new AgentPages({ findAgent }, async () => {
    const page = { read: ++reads };
    started.resolve();
    await read.promise;
    return page;
  });
  const id = newAgentId();
  const opening = pages.open(id);
  await started.promise;
  pages.forget();
  read.resolve();
  expect([await opening, await pages.open(id)]).toEqual([{ read: 1 }, { read: 2 }]);
});

test('1,000 are kept: those that were used longest ago go first', async () => {
  const read: AgentId[] = [];
  const pages = new AgentPages({ findAgent }, async ({ id }) => {
    read.push(id);
    return {};
  });
  const ids = Array.from({ length: 1_000 }, () => newAgentId());
  for (const id of ids) await pages.open(id);
  const [first = newAgentId(), second = newAgentId()] = ids;
  await pages.open(first);
  await pages.open(newAgentId());
  read.length = 0;
  await pages.open(first);
  await pages.open(second);
  expect(read).toEqual([second]);
});

test('an agent that is not there has no page', async () => {
  const pages = new AgentPages({ findAgent: async () => undefined }, async () => ({}));
  await expect(pages.open(newAgentId())).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
});
