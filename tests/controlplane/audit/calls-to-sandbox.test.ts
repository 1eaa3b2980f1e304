import { once } from 'node:events';
import { request } from 'node:http';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AuditRecord, type CaissonClient, createCaissonClient } from '../../../src/client/index.ts';
import { encodeTarHeader } from '../../../src/kernel/tar-encode.ts';
import { type RunningWorkspace, startWorkspace } from '../workspace/running-workspace.ts';

let workspace: RunningWorkspace;
let auditor: CaissonClient;
let agentId: string;
beforeAll(async () => {
  workspace = await startWorkspace({ CAISSON_TRUSTED_PROXIES: '127.0.0.1' });
  agentId = workspace.agent.id;
  const admin = createCaissonClient({ url: workspace.url, apiKey: workspace.adminKey });
  const { secret } = await admin.keys.create.mutate({ user: 'ida', role: 'auditor', name: 'test' });
  auditor = createCaissonClient({ url: workspace.url, apiKey: secret });
});
afterAll(() => workspace[Symbol.asyncDispose]());

/** In an archive. */
function fileHead(name: string, size: number): Buffer {
  const what = { name: Buffer.from(name), type: 'file', mode: 0o644, size, modifiedAt: 0, target: null } as const;
  return encodeTarHeader(what);
}

async function records(action: string): Promise<readonly AuditRecord[]> {
  return (await auditor.audit.search.query({ action })).items;
}

test('a command is recorded with its arguments, without what looks like a secret, without environment and input', async () => {
  const command = ['sh', '-c', 'true', '--token', 'hunter2', '--password=hunter3', 'https://ada:hunter4@host/'];
  await workspace.client.processes.exec.mutate({
    agentId,
    command,
    env: { API_KEY: 'hunter5' },
    input: { data: 'hunter6' },
  });
  const [record] = await records('processes.exec');
  expect(record).toMatchObject({ agentId, userName: 'alice', outcome: 'ok' });
  expect(record?.details['command']).toEqual([
    'sh',
    '-c',
    'true',
    '--token',
    '‹concealed›',
    '--password=‹concealed›',
    'https://‹concealed›@host/',
  ]);
  expect(JSON.stringify(record)).not.toContain('hunter');
});

test('a command over a WebSocket has two records: the socket, and what was begun over it', async () => {
  const process = await workspace.client.processes.spawn({ agentId, command: ['cat', 'x'.repeat(5_000)] });
  await process.exit;
  const [begun] = await records('processes.spawn');
  expect(begun).toMatchObject({ agentId, userName: 'alice', outcome: 'ok' });
  expect(JSON.stringify(begun?.details).length).toBeLessThan(1_000);
  const [opened] = await records('WS /v1/agents/:agentId/processes/attach');
  expect(opened).toMatchObject({ agentId, outcome: 'ok', targets: [agentId] });
});

test('a program that is not there is recorded as often as it was asked for', async () => {
  for (const program of ['no-such-one', 'no-such-two']) {
    await expect(workspace.client.processes.exec.mutate({ agentId, command: [program] })).rejects.toThrow();
  }
  const tried = (await records('processes.exec')).map(({ details, outcome }) => [details['command'], outcome]);
  expect(tried.slice(0, 2)).toEqual([
    [['no-such-two'], 'PROCESS_NOT_STARTED'],
    [['no-such-one'], 'PROCESS_NOT_STARTED'],
  ]);
});

test('a terminal is recorded where it is opened, and who attaches', async () => {
  const { id: terminalId } = await workspace.client.terminals.open.mutate({ agentId, command: ['cat'] });
  const attached = await workspace.client.terminals.attach({ agentId, terminalId });
  await attached.detach();
  expect((await records('terminals.open'))[0]).toMatchObject({
    details: { command: ['cat'] },
    targets: [agentId, terminalId],
  });
  const [opened] = await records('WS /v1/agents/:agentId/terminals/:terminalId');
  expect(opened).toMatchObject({ targets: [agentId, terminalId], outcome: 'ok' });
  await workspace.client.terminals.close.mutate({ agentId, terminalId });
});

test('an upload is recorded by its path, and not by its content', async () => {
  await workspace.client.files.upload({ agentId, path: 'notes', body: 'hunter2' });
  const [record] = await records('PUT /v1/agents/:agentId/file');
  expect(record).toMatchObject({ agentId, details: { path: 'notes' }, outcome: 'ok', userName: 'alice' });
  const text = await new Response(await auditor.audit.export()).text();
  expect(text).not.toContain('hunter2');
});

test('what a sandbox has done in part, and then refused, is recorded each time, and not merely counted', async () => {
  const { client } = workspace;
  for (const path of ['one', 'two']) {
    // Of the second file nothing is there: neither file comes into the folder.
    const body = Buffer.concat([fileHead('first', 1), Buffer.alloc(512, 'x'), fileHead('second', 512)]);
    await expect(client.files.uploadArchive({ agentId, path, body })).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    expect(await client.files.stat.query({ agentId, path })).toMatchObject({ type: 'directory' });
    await expect(client.files.stat.query({ agentId, path: `${path}/first` })).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
    });
    await expect(client.files.remove.mutate({ agentId, path: 'gone' })).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
    });
  }
  const unpacked = (await records('PUT /v1/agents/:agentId/archive')).map(({ details, outcome, count }) => [
    details['path'],
    outcome,
    count,
  ]);
  expect(unpacked).toEqual([
    ['two', 'BAD_REQUEST', 1],
    ['one', 'BAD_REQUEST', 1],
  ]);
  expect((await records('files.remove')).map(({ count }) => count)).toEqual([1, 1]);
});

test('who may not is recorded for uploads, downloads and sockets', async () => {
  const url = `${workspace.url}/v1/agents/${agentId}/file?path=a`;
  await (await fetch(url)).text();
  await (await fetch(url, { method: 'PUT', body: 'x' })).text();
  const upgrade = request(`${workspace.url}/v1/agents/${agentId}/processes/attach`, {
    headers: { connection: 'Upgrade', upgrade: 'websocket', 'x-forwarded-for': '203.0.113.9' },
  }).end();
  const [response] = (await once(upgrade, 'response')) as [{ statusCode: number; resume: () => void }];
  response.resume();
  expect(response.statusCode).toBe(401);
  const unknown = { outcome: 'UNAUTHORIZED', userId: null, agentId };
  expect((await records('GET /v1/agents/:agentId/file'))[0]).toMatchObject(unknown);
  expect((await records('PUT /v1/agents/:agentId/file'))[0]).toMatchObject(unknown);
  const [socket] = await records('WS /v1/agents/:agentId/processes/attach');
  expect(socket).toMatchObject({ ...unknown, address: '203.0.113.9' });
});

test('an export has its own record, and its chain is whole', async () => {
  const text = await new Response(await auditor.audit.export()).text();
  const lines = text.trimEnd().split('\n');
  expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({
    record: { action: 'GET /v1/audit/export', userName: 'ida', outcome: 'ok' },
  });
  expect(await auditor.audit.verify.query({})).toMatchObject({ broken: null });
});

test('while the audit takes nothing, nothing is done in a sandbox and nothing is stored; afterwards both go on', async () => {
  const client = workspace.client;
  await client.files.write.mutate({ agentId, path: 'before', content: 'x' });
  expect(await records('files.write')).toHaveLength(1); // it is written: nothing else is under way
  const database = new DatabaseSync(join(workspace.dataDir, 'caisson.db'), { timeout: 5_000 });
  const failing = ['audit_records', 'audit_open'].map((table) => `no_${table}`);
  for (const name of failing) {
    database.exec(`create trigger ${name} before insert on ${name.slice(3)} begin select raise(abort, 'no'); end`);
  }
  // What is under way now finds out, and is kept.
  await client.files.write.mutate({ agentId, path: 'meanwhile', content: 'x' });
  await expect(client.agents.create.mutate({ name: 'another' })).rejects.toThrow();
  const refused = { code: 'AUDIT_UNAVAILABLE', retryable: true };
  await expect(client.files.write.mutate({ agentId, path: 'after', content: 'x' })).rejects.toMatchObject(refused);
  await expect(client.processes.exec.mutate({ agentId, command: ['true'] })).rejects.toMatchObject(refused);
  await expect(client.files.upload({ agentId, path: 'after', body: 'x' })).rejects.toMatchObject(refused);
  await expect(client.processes.spawn({ agentId, command: ['true'] })).rejects.toThrow();
  await expect(client.files.stat.query({ agentId, path: 'after' })).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  expect((await client.agents.list.query({})).items.map(({ name }) => name)).toEqual(['worker']);
  for (const name of failing) database.exec(`drop trigger ${name}`);
  database.close();
  await client.files.write.mutate({ agentId, path: 'after', content: 'x' });
  const written = (await records('files.write')).map(({ details }) => details['path']);
  expect(written.slice(0, 3)).toEqual(['after', 'meanwhile', 'before']);
  expect(await auditor.audit.verify.query({})).toMatchObject({ broken: null });
});
