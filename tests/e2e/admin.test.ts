import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CaissonClient, createCaissonClient } from '../../src/client/index.ts';
import { type AgentId, agentIdSchema, newAgentId } from '../../src/kernel/ids.ts';
import { caisson } from '../cli/command.ts';
import { until } from '../until.ts';
import { startTestControlPlane, type TestControlPlane } from './support/control-plane.ts';

let control: TestControlPlane;
let ada: CaissonClient;
let auditor: CaissonClient;
let agentId: AgentId;

beforeAll(async () => {
  control = await startTestControlPlane();
  const { client, url } = control;
  const keyOf = async (user: string, role: 'member' | 'auditor'): Promise<CaissonClient> => {
    const { secret } = await client.keys.create.mutate({ name: 'test', user, role });
    return createCaissonClient({ url, apiKey: secret });
  };
  ada = await keyOf('ada', 'member');
  auditor = await keyOf('grace', 'auditor');
  agentId = agentIdSchema.parse((await ada.agents.create.mutate({ name: 'engine', wait: true })).id);
}, 120_000);
afterAll(() => control[Symbol.asyncDispose]());

const cli = async (...args: string[]) =>
  await caisson(args, { CAISSON_URL: control.url, CAISSON_API_KEY: control.adminKey });

test('the sandboxes of everyone are listed with whose they are and what they take, and orphans are marked', async () => {
  const { image } = (await control.provider.find(agentId)) ?? { image: '' };
  const orphan = newAgentId();
  const limits = { cpus: 1, memoryBytes: 256 * 1024 ** 2, pids: 64 };
  await control.provider.ensureRunning({ agentId: orphan, image, limits, environment: { CAISSON_AGENT_ID: orphan } });
  await until('its disk is known', async () => {
    return (await ada.agents.get.query({ agentId })).disk.usedBytes !== null;
  });
  const { items } = await auditor.admin.sandboxes.list.query({ load: true });
  const own = items.find((each) => each.agentId === agentId);
  expect(own).toMatchObject({ state: 'running', provider: 'docker', image });
  expect(own?.agent).toMatchObject({
    name: 'engine',
    owner: { name: 'ada' },
    state: 'running',
    disk: { state: 'ok', method: 'walk on the host' },
  });
  expect(own?.load?.memoryBytes).toBeGreaterThan(1024 ** 2);
  expect(own?.load?.pids).toBeGreaterThan(1);
  expect(own?.load?.startedAt).toBeGreaterThan(Date.now() - 600_000);
  expect(items.find((each) => each.agentId === orphan)).toMatchObject({ state: 'running', agent: null });

  const first = await auditor.admin.sandboxes.list.query({ limit: 1 });
  expect(first.items.map((each) => each.agentId)).toEqual([orphan]);
  const second = await auditor.admin.sandboxes.list.query({ limit: 1, cursor: first.nextCursor });
  expect(second).toMatchObject({ items: [{ agentId, load: null }], nextCursor: null });

  const table = (await cli('admin', 'sandboxes')).stdout;
  expect(table).toMatch(/agent +owner +id +state +since +cpus +memory +disk/);
  expect(table).toMatch(new RegExp(`engine +ada +${agentId} +running .* of 2 .* of 2\\.0 GiB .* of 10 GiB`));
  expect(table).toMatch(new RegExp(`\\(orphan\\) +${orphan} +running`));

  const gone = await control.client.admin.sandboxes.destroy.mutate({ agentId: orphan });
  expect(gone).toEqual({ agentId: orphan, existed: true });
  expect(await control.provider.find(orphan)).toBeUndefined();
  expect((await cli('admin', 'stop', orphan)).stdout).toBe(`There is no sandbox of ${orphan}\n`);
});

test('an administrator stops a sandbox, and its owner is told who did', async () => {
  await ada.files.write.mutate({ agentId, path: 'kept', content: 'kept' });
  await expect(auditor.admin.sandboxes.stop.mutate({ agentId })).rejects.toMatchObject({ code: 'FORBIDDEN' });
  await expect(ada.admin.sandboxes.stop.mutate({ agentId })).rejects.toMatchObject({ code: 'FORBIDDEN' });
  expect(await cli('admin', 'stop', 'engine')).toEqual({ exitCode: 0, stdout: 'Stopped engine\n', stderr: '' });
  expect((await ada.agents.get.query({ agentId })).sandbox).toEqual({
    state: 'stopped',
    reason: 'It was stopped by the administrator admin.',
  });
  expect((await control.provider.find(agentId))?.state).toBe('stopped');
  expect((await control.client.admin.sandboxes.list.query({ onlyRunning: true })).items).toEqual([]);
  expect(await ada.files.read.query({ agentId, path: 'kept' })).toMatchObject({ content: 'kept' });
});

test('an administrator removes a sandbox with its files; the agent stays, and gets a new one', async () => {
  const asked = await cli('admin', 'destroy', agentId);
  expect(asked.exitCode).not.toBe(0);
  expect(asked.stderr).toContain('--yes');
  const done = await cli('admin', 'destroy', agentId, '--yes');
  expect(done.stdout).toBe(`Removed the sandbox of ${agentId}\n`);
  expect(await control.provider.find(agentId)).toBeUndefined();
  const { sandbox, disk } = await ada.agents.get.query({ agentId });
  expect(sandbox).toMatchObject({ reason: 'It was removed, with its files, by the administrator admin.' });
  expect(disk.usedBytes).toBe(0);
  await expect(ada.files.read.query({ agentId, path: 'kept' })).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
});

test('the overview and the usage of everyone are for those who oversee', async () => {
  const overview = await auditor.admin.overview.query();
  expect(overview).toMatchObject({
    version: 'test',
    provider: { name: 'docker', available: true },
    agents: 1,
    sandboxes: { running: 1 },
    open: { calls: 1 },
  });
  expect(overview.disk.sandboxes?.freeBytes).toBeGreaterThan(0);
  expect(overview.machine.memory.totalBytes).toBeGreaterThan(0);
  const { items } = await auditor.admin.usage.query();
  expect(items.find(({ user }) => user.name === 'ada')).toMatchObject({ agents: 1, sandboxesUp: 1, tokens: 0 });
  await expect(ada.admin.overview.query()).rejects.toMatchObject({ code: 'FORBIDDEN' });
  await expect(ada.admin.usage.query()).rejects.toMatchObject({ code: 'FORBIDDEN' });
  const shown = (await cli('admin', 'overview')).stdout;
  expect(shown).toMatch(/engine +docker, Docker [\d.]+/);
  expect(shown).toMatch(/disk of sandboxes +\d.* free of /);
  expect((await cli('admin', 'usage')).stdout).toMatch(/ada +1 +1 +\d/);
});
