import { afterEach, beforeEach, expect, test } from 'vitest';
import { createCaissonClient } from '../../../src/client/index.ts';
import { CaissonError } from '../../../src/kernel/errors.ts';
import { type AgentId, agentIdSchema } from '../../../src/kernel/ids.ts';
import { until } from '../../until.ts';
import { type RunningWorkspace, startWorkspace } from '../workspace/running-workspace.ts';

const mebibyte = 1024 ** 2;
let workspace: RunningWorkspace;
let worker: AgentId;

beforeEach(async () => {
  workspace = await startWorkspace({ CAISSON_QUOTAS: 'disk=100m,agents=10', CAISSON_SANDBOX_DISK: '80m' });
  worker = agentIdSchema.parse(workspace.agent.id);
});
afterEach(() => workspace[Symbol.asyncDispose]());

/** Says what a sandbox takes, and waits until that is known. */
async function taken(agentId: AgentId, mebibytes: number): Promise<void> {
  workspace.provider.diskBytes.set(agentId, mebibytes * mebibyte);
  await until(`${mebibytes} MiB are seen`, async () => {
    const { disk } = await workspace.client.agents.get.query({ agentId });
    return disk.usedBytes === mebibytes * mebibyte;
  });
}

const write = (agentId: AgentId) => workspace.client.files.write.mutate({ agentId, path: 'file', content: 'x' });
const marks = async (agentId: AgentId): Promise<string[]> => {
  const { events } = await workspace.client.events.read.query({ agentId, after: 0, limit: 500 });
  return events.flatMap((event) => (event.type === 'quota.changed' ? [`${event.of} ${event.mark}`] : []));
};

test('a quota of a user is for all agents together, and room made in any of them is room for all', async () => {
  const { client, provider } = workspace;
  const other = agentIdSchema.parse((await client.agents.create.mutate({ name: 'other', wait: true })).id);
  await taken(worker, 60);
  await taken(other, 45);
  const refusal = {
    code: 'QUOTA_EXCEEDED',
    details: { dimension: 'disk', of: 'user', limit: 100 * mebibyte, used: 105 * mebibyte },
  };
  await expect(write(worker)).rejects.toMatchObject(refusal);
  await expect(write(other)).rejects.toMatchObject(refusal);
  await expect(client.agents.create.mutate({ name: 'third' })).rejects.toMatchObject(refusal);
  expect(await marks(other)).toEqual(['user spent']);
  const { quotas } = await client.usage.me.query();
  expect(quotas.find(({ dimension }) => dimension === 'disk')).toMatchObject({
    used: 105 * mebibyte,
    source: 'default',
  });

  provider.diskBytes.set(other, mebibyte);
  await write(worker);
  await client.agents.create.mutate({ name: 'third' });
  await client.agents.delete.mutate({ agentId: worker });
  await until('what is deleted is not counted', async () => {
    const after = (await client.usage.me.query()).quotas.find(({ dimension }) => dimension === 'disk');
    return after?.used === mebibyte;
  });
});

test('an agent can be given less of the disk while it runs, by its owner, and at once', async () => {
  const { client } = workspace;
  await taken(worker, 30);
  await write(worker);
  const of = { agentId: worker };
  await client.quotas.set.mutate({ of, version: 0, limits: { disk: 20 * mebibyte } });
  await until('it is full', async () => (await client.agents.get.query(of)).disk.state === 'full');
  await expect(write(worker)).rejects.toMatchObject({
    code: 'QUOTA_EXCEEDED',
    details: { dimension: 'disk', of: 'agent', limit: 20 * mebibyte },
  });
  const { quotas } = await client.quotas.get.query({ of });
  expect(quotas.find(({ dimension }) => dimension === 'disk')).toMatchObject({ used: 30 * mebibyte, source: 'own' });
  await client.quotas.set.mutate({ of, version: 1, limits: { disk: 'default' } });
  await write(worker);
  expect(await marks(worker)).toEqual(['agent spent', 'agent freed']);
});

test('no agent can be made with more of the disk than the operator gives', async () => {
  const more = workspace.client.agents.create.mutate({ name: 'large', limits: { diskBytes: 81 * mebibyte } });
  await expect(more).rejects.toMatchObject({ code: 'BAD_REQUEST', details: { field: 'diskBytes' } });
});

test('what goes on beyond the grace is stopped, and starts nothing until there is room', async () => {
  const { client, provider } = workspace;
  provider.diskBytes.set(worker, 97 * mebibyte);
  await until('it is stopped', async () => {
    const { sandbox } = await client.agents.get.query({ agentId: worker });
    return sandbox.state === 'stopped' && sandbox.reason.startsWith('It took 97 MiB of the disk');
  });
  const exec = () => client.processes.exec.mutate({ agentId: worker, command: ['true'] });
  await expect(exec()).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED', details: { used: 97 * mebibyte } });
  expect(provider.running.has(worker)).toBe(false);
  await client.files.list.query({ agentId: worker });
  expect(provider.running.has(worker)).toBe(true);
  provider.diskBytes.set(worker, mebibyte);
  expect(await exec()).toMatchObject({ exitCode: 0 });
});

test('a sandbox with too many files to be measured in time counts as full', async () => {
  const { client, provider } = workspace;
  provider.measureFault = new CaissonError('DEADLINE_EXCEEDED', 'It took longer than 60 s.');
  await until('it counts as full', async () => {
    return (await client.agents.get.query({ agentId: worker })).disk.state === 'unmeasured';
  });
  await expect(write(worker)).rejects.toMatchObject({
    code: 'QUOTA_EXCEEDED',
    hint: expect.stringContaining('too many files'),
  });
  expect(provider.running.has(worker)).toBe(true);
  provider.measureFault = undefined;
  await write(worker);
});

test('an engine that does not answer for a while changes nothing', async () => {
  const { client, provider } = workspace;
  await taken(worker, 10);
  provider.measureFault = new CaissonError('PROVIDER_UNAVAILABLE', 'It does not answer.');
  await until('it is told', () => workspace.log.some(({ message }) => message === 'a disk could not be measured'));
  expect((await client.agents.get.query({ agentId: worker })).disk).toMatchObject({
    state: 'ok',
    usedBytes: 10 * mebibyte,
  });
  await write(worker);
});

test('with less than the reserve on the machine no sandbox starts, and it is no failure', async () => {
  const { client, provider, url, adminKey } = workspace;
  const admin = createCaissonClient({ url, apiKey: adminKey });
  await provider.end(worker);
  await until('it is stopped', async () => {
    return (await client.agents.get.query({ agentId: worker })).sandbox.state === 'stopped';
  });
  provider.freeBytes = mebibyte;
  const refusal = { code: 'HOST_DISK_FULL', retryable: true, details: { disk: 'sandboxes', freeBytes: mebibyte } };
  await expect(client.processes.exec.mutate({ agentId: worker, command: ['true'] })).rejects.toMatchObject(refusal);
  await expect(client.agents.create.mutate({ name: 'new', wait: true })).rejects.toMatchObject(refusal);
  expect((await client.agents.get.query({ name: 'new' })).sandbox.state).toBe('stopped');
  expect((await admin.admin.overview.query()).disk).toMatchObject({
    reserveBytes: 1024 ** 3,
    sandboxes: { freeBytes: mebibyte },
  });
  provider.freeBytes = 1024 ** 4;
  // The reserve is a thousandth of the disk: that share of its inodes stays free, too.
  provider.inodes = { free: 999, total: 1_024_000 };
  const without = {
    ...refusal,
    message: expect.stringContaining('inodes'),
    details: { disk: 'sandboxes', freeInodes: 999 },
  };
  await expect(client.processes.exec.mutate({ agentId: worker, command: ['true'] })).rejects.toMatchObject(without);
  expect((await admin.admin.overview.query()).disk.sandboxes?.inodes).toEqual(provider.inodes);
  provider.inodes = { free: 1_000, total: 1_024_000 };
  expect(await client.processes.exec.mutate({ agentId: worker, command: ['true'] })).toMatchObject({ exitCode: 0 });
});

test('the metrics tell what is taken and what is left', async () => {
  workspace.provider.inodes = { free: 5, total: 10 };
  await taken(worker, 70);
  const { url, adminKey } = workspace;
  const answer = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${adminKey}` } });
  const text = await answer.text();
  expect(text).toContain('caisson_agent_disks{state="near"} 1');
  expect(text).toContain(`caisson_agent_disk_bytes ${70 * mebibyte}`);
  expect(text).toContain(`caisson_host_disk_free_bytes{disk="sandboxes"} ${1024 ** 4}`);
  expect(text).toMatch(/caisson_host_disk_free_bytes\{disk="data"\} \d+/);
  expect(text).toContain('caisson_host_disk_free_inodes{disk="sandboxes"} 5');
  expect(text).toContain('caisson_model_breaker_state{upstream="main"} 0');
  expect(text).toContain('caisson_audit_up 1');
});
