import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AgentId } from '../../src/kernel/ids.ts';
import { until } from '../until.ts';
import { modelKey, startTestControlPlane, type TestControlPlane } from './support/control-plane.ts';
import { findInside } from './support/find-inside.ts';
import { inside } from './support/inside.ts';

let caisson: TestControlPlane;
let agentId: AgentId;
let otherId: AgentId;

beforeAll(async () => {
  caisson = await startTestControlPlane();
  const [agent, other] = await Promise.all(
    ['sealed', 'other'].map((name) => caisson.client.agents.create.mutate({ name, wait: true })),
  );
  if (agent === undefined || other === undefined) throw new Error('the agents were not made');
  [agentId, otherId] = [agent.id, other.id];
  // A turn first, so that whatever a turn leaves behind is there to be found.
  const { id: conversationId } = await caisson.client.conversations.open.mutate({ agentId });
  const { outcome } = await caisson.client.agents.sendMessage.mutate({ agentId, conversationId, message: 'run env' });
  expect(outcome.status).toBe('ok');
});
afterAll(() => caisson[Symbol.asyncDispose]());

test('neither the model key nor any key of the control plane is in the environment, the processes or the files', async () => {
  expect(caisson.model.requests.some((request) => request.authorization === `Bearer ${modelKey}`)).toBe(true);
  const { places, files } = await findInside(caisson.provider, agentId, [modelKey, caisson.adminKey]);
  expect(places).toEqual([]);
  expect(files).toBeGreaterThan(1_000);
});

test('no environment variable of the harness looks like a credential', async () => {
  const { stdout } = await inside(
    caisson.provider,
    agentId,
    "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | sort -u",
  );
  expect(stdout).toContain('CAISSON_AGENT_ID=');
  expect(stdout).not.toMatch(/(_KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL)[A-Z_]*=./i);
});

test('Codex trusts an authority that nobody is, and its commands those of the sandbox', async () => {
  const script = `for each in /proc/[0-9]*; do
    if [ "$(cat $each/comm)" = codex ]; then tr '\\0' '\\n' < $each/environ | grep ^SSL_CERT_FILE=; fi
  done`;
  const { stdout } = await inside(caisson.provider, agentId, script);
  expect(stdout.trim()).toBe('SSL_CERT_FILE=/etc/codex/no-authority.crt');
  const { events } = await caisson.client.events.read.query({ agentId, limit: 1_000 });
  const printed = JSON.stringify(events.filter(({ type }) => type === 'tool.completed' || type === 'tool.updated'));
  expect(printed).toContain('SSL_CERT_FILE=/run/caisson/ca-certificates.crt');
});

test('there is no interface but loopback, and no name server that answers', async () => {
  const { stdout } = await inside(caisson.provider, agentId, "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '");
  expect(stdout.trim()).toBe('lo');
  const lookup = await inside(caisson.provider, agentId, 'timeout 10 getent hosts example.com');
  expect(lookup.exitCode).not.toBe(0);
});

test.each([
  ['the address of the host on its bridge', '172.17.0.1', 22],
  ['the metadata address', '169.254.169.254', 80],
  ['a public address', '1.1.1.1', 443],
  ['a private address', '10.0.0.1', 80],
  ['the network before it', '192.168.0.1', 80],
])('%s cannot be reached', async (_name, host, port) => {
  const script = `require('net').connect(${port}, '${host}').on('connect', () => process.exit(7)).on('error', (e) => { console.log(e.code); process.exit(0); }); setTimeout(() => process.exit(8), 5000)`;
  const { exitCode, stdout } = await inside(caisson.provider, agentId, `node -e "${script}"`);
  expect({ exitCode, stdout: stdout.trim() }).toEqual({ exitCode: 0, stdout: 'ENETUNREACH' });
});

test('the control plane and the model service of the host cannot be reached on loopback', async () => {
  for (const url of [caisson.url, caisson.model.baseUrl]) {
    const { stdout } = await inside(
      caisson.provider,
      agentId,
      `curl -s -o /dev/null -m 5 -w '%{http_code}' ${url}/healthz`,
    );
    expect(stdout).toBe('000');
  }
});

test('another sandbox is neither seen nor reached', async () => {
  const { stdout } = await inside(
    caisson.provider,
    agentId,
    'cat /etc/hosts; ls /run/caisson; ls /proc | grep -c "^[0-9]"',
  );
  expect(stdout).not.toContain(otherId);
  await inside(caisson.provider, otherId, 'sleep 86441 >/dev/null 2>&1 & echo x > /workspace/marker');
  // The search does not hold what it looks for, and it finds where that is.
  const look = "ls /workspace; cat /proc/[0-9]*/cmdline | tr '\\0' ' '";
  expect((await inside(caisson.provider, otherId, look)).stdout).toMatch(/^marker$[^]*sleep 86441 /m);
  expect((await inside(caisson.provider, agentId, look)).stdout).not.toMatch(/marker|86441/);
});

test('the model endpoint serves the model and nothing else of the control plane', async () => {
  const get = async (path: string) =>
    (await inside(caisson.provider, agentId, `curl -s -m 10 -w ' %{http_code}' http://127.0.0.1:7777${path}`)).stdout;
  expect(await get('/v1/models')).toMatch(/ 200$/);
  for (const path of [
    '/',
    '/trpc/system.version',
    '/healthz',
    '/v1/files',
    '/v1/../trpc/keys.list',
    '//v1/models',
    '/v1/models/../../x',
  ]) {
    expect(await get(path)).toMatch(/ 4\d\d$/);
  }
});

test('the system configuration of Codex cannot be changed, and neither can the guest', async () => {
  const { exitCode } = await inside(
    caisson.provider,
    agentId,
    'echo x >> /etc/codex/config.toml || echo x >> /etc/codex/rules/default.rules || echo x > /opt/caisson/guest.cjs || touch /usr/local/bin/x || rm -f /usr/local/bin/node',
  );
  expect(exitCode).not.toBe(0);
});

test('a process of the sandbox that takes the lease for itself ends its own sandbox, and harms no other', async () => {
  const script = `
    const http2 = require('http2'); const net = require('net');
    const session = http2.connect('http://guest', { createConnection: () => net.connect('/run/caisson/inward.sock') });
    const stream = session.request({ ':method': 'PUT', ':path': '/v1/lease', 'content-type': 'application/json' });
    stream.on('response', (headers) => { console.log(headers[':status']); session.close(); });
    stream.end(JSON.stringify({ epoch: 1000000 }));`;
  await inside(caisson.provider, agentId, 'exec node -', script).catch(() => undefined); // it may go with its sandbox
  await until('the sandbox is given up', async () => {
    const { agent } = await caisson.client.agents.status.query({ agentId });
    return agent.sandbox.state !== 'running';
  });
  for (const id of [agentId, otherId]) {
    const { id: conversationId } = await caisson.client.conversations.open.mutate({ agentId: id });
    const message = 'say unharmed';
    const { reply } = await caisson.client.agents.sendMessage.mutate({ agentId: id, conversationId, message });
    expect(reply).toBe('unharmed');
  }
});
