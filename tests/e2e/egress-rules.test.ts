import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AgentId } from '../../src/kernel/ids.ts';
import { until } from '../until.ts';
import { startTestControlPlane, type TestControlPlane } from './support/control-plane.ts';
import { inside } from './support/inside.ts';

const host = 'files.corp.test';
let caisson: TestControlPlane;
let agentId: AgentId;
let port: number;
let sending: ServerResponse[];
const undo = new AsyncDisposableStack();

beforeAll(async () => {
  sending = [];
  // An endless download: a line, and then nothing more until the test is over.
  const server = createServer((request, response) => {
    if (request.url === '/endless') {
      void pipeline(endless(), response).catch(() => undefined); // it is cut, as it should be
      return;
    }
    response.write('the beginning\n');
    sending.push(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  undo.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  ({ port } = server.address() as AddressInfo);
  caisson = undo.use(
    await startTestControlPlane(
      { CAISSON_EGRESS_INTERNAL: `${host}:${port}` },
      { resolveInternal: async () => ['127.0.0.1'] },
    ),
  );
  const agent = await caisson.client.agents.create.mutate({ name: 'ruled', wait: true });
  agentId = agent.id;
});
afterAll(() => undo.disposeAsync());

function* endless(): Generator<Buffer, void> {
  for (;;) yield Buffer.alloc(64 * 1024, 'x');
}

const curl = (url: string) => inside(caisson.provider, agentId, `curl -sS -m 60 ${url}`);

test('a rule that denies cuts a download of a sandbox in the middle, and it is logged and counted', async () => {
  const download = curl(`http://${host}:${port}/`);
  await until('it has begun', () => sending.length > 0);
  const { rules } = await caisson.client.egress.policy.set.mutate({ agentId, add: [{ host, effect: 'deny' }] });
  const { exitCode, stdout } = await download;
  expect(stdout).toBe('the beginning\n');
  expect(exitCode).not.toBe(0);
  const refused = await curl(`http://${host}:${port}/`);
  expect(refused.stdout).toContain('EGRESS_DENIED');
  const entries = await until('both are logged', async () => {
    const { items } = await caisson.client.egress.log.query({ agentId, host });
    return items.length === 2 && items;
  });
  expect(entries.map(({ outcome }) => outcome).toSorted()).toEqual(['denied', 'revoked']);
  expect(entries.find(({ outcome }) => outcome === 'revoked')).toMatchObject({
    host,
    port,
    rule: host,
    connections: 1,
  });
  const { items: usage } = await caisson.client.egress.usage.query({ agentId });
  expect(usage).toMatchObject([{ agentId }]);
  expect(usage[0]?.denied).toBeGreaterThanOrEqual(2);
  expect(usage[0]?.receivedBytes).toBeGreaterThan(0);
  await caisson.client.egress.policy.set.mutate({ agentId, remove: rules.map(({ id }) => id) });
  const test = await caisson.client.egress.policy.test.query({ agentId, host, port });
  expect(test).toMatchObject({ verdict: 'allow', source: 'settings' });
});

test('a sandbox waits for a person: the event tells, and the answer is what its program hears', async () => {
  await caisson.client.egress.policy.set.mutate({ agentId, mode: 'ask' });
  const { seq: after } = await caisson.client.agents.status.query({ agentId });
  const asking = curl('https://wanted.invalid/');
  for await (const event of caisson.client.subscribe({ agentId, after, signal: AbortSignal.timeout(30_000) })) {
    if (event.type !== 'egress.requested') continue;
    expect(event).toMatchObject({ host: 'wanted.invalid', port: 443 });
    await caisson.client.egress.decide.mutate({ requestId: event.requestId, answer: 'deny' });
    break;
  }
  expect((await asking).stderr).toContain('403');
  expect((await curl('http://wanted.invalid/')).stdout).toContain('Somebody has denied wanted.invalid');

  const allowing = curl('http://other.invalid/');
  const [request] = await until('it waits', async () => {
    const { items } = await caisson.client.egress.pending.query({ agentId });
    return items.length > 0 && items;
  });
  expect(request).toMatchObject({ host: 'other.invalid', ports: [80], waiting: 1 });
  await caisson.client.egress.decide.mutate({ requestId: request?.id ?? '', answer: 'agent', why: 'a test' });
  expect((await allowing).stdout).toContain('EGRESS_UNREACHABLE'); // it was let out; there is no such host
  expect(await caisson.client.egress.policy.get.query({ agentId })).toMatchObject({
    mode: 'ask',
    rules: [{ host: 'other.invalid', ports: [80], why: 'a test', addedByName: 'admin' }],
  });
});

test('a quota of bytes cuts a download of a sandbox in the middle, and lets nothing more out', async () => {
  const limit = 3_000_000;
  await caisson.client.egress.policy.set.mutate({ agentId, mode: 'allowlist' });
  const { used } = await until('what went before is counted', async () => {
    const before = await egressOf(agentId);
    return before.reserved === 0 && before;
  });
  await caisson.client.quotas.set.mutate({
    of: { agentId },
    version: 0,
    limits: { egress_bytes: used + limit },
  });
  const download = await curl(`http://${host}:${port}/endless | wc -c`);
  const received = Number(download.stdout);
  expect(received).toBeGreaterThan(limit / 2);
  expect(received).toBeLessThanOrEqual(limit);
  const entries = await until('it is logged', async () => {
    const { items } = await caisson.client.egress.log.query({ agentId, host });
    return items.some(({ outcome }) => outcome === 'over_quota') && items;
  });
  expect(entries.length).toBeGreaterThan(0);
  expect((await curl(`http://${host}:${port}/endless`)).stdout).not.toContain('xxx');
  expect((await egressOf(agentId)).used).toBeLessThanOrEqual(used + limit);
});

/** What the agent has used of its egress today. */
async function egressOf(id: AgentId): Promise<{ readonly used: number; readonly reserved: number }> {
  const { quotas } = await caisson.client.quotas.get.query({ of: { agentId: id } });
  const egress = quotas.find(({ dimension }) => dimension === 'egress_bytes');
  return { used: egress?.used ?? 0, reserved: egress?.reserved ?? 0 };
}
