import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AgentId } from '../../src/kernel/ids.ts';
import { testAuthority } from '../doubles/internet/certificates.ts';
import { type Internet, internetHosts, startInternet } from '../doubles/internet/internet.ts';
import { startTestControlPlane, type TestControlPlane } from './support/control-plane.ts';
import { inside } from './support/inside.ts';
import { programs } from './support/programs.ts';

let caisson: TestControlPlane;
let internet: Internet;
let agentId: AgentId;
const undo = new AsyncDisposableStack();

beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'caisson-internet-'));
  undo.defer(() => rm(directory, { recursive: true, force: true }));
  internet = undo.use(await startInternet(directory));
  const authorities = join(directory, 'authorities.pem');
  await writeFile(authorities, testAuthority);
  const hosts = Object.values(internetHosts).map((host) => `${host}:${internet.port}`);
  caisson = undo.use(
    await startTestControlPlane(
      { CAISSON_EGRESS_INTERNAL: hosts.join(','), CAISSON_EXTRA_CA_FILE: authorities },
      { resolveInternal: async () => ['127.0.0.1'] },
    ),
  );
  const agent = await caisson.client.agents.create.mutate({ name: 'outgoing', wait: true });
  agentId = agent.id;
});
afterAll(() => undo.disposeAsync());

/** The user sets nothing: these are the commands that anybody would type. */
const sh = async (script: string): Promise<string> => {
  const { stdout, stderr, exitCode } = await inside(caisson.provider, agentId, script);
  if (exitCode !== 0) throw new Error(`exit ${exitCode}: ${stdout}\n${stderr}`);
  return stdout.trim();
};
const url = (host: string): string => `https://${host}:${internet.port}`;

test('npm install', async () => {
  const script = `mkdir -p npm && cd npm && npm init -y >/dev/null &&
    npm install --registry ${url(internetHosts.npm)} caisson-probe >/dev/null && node -p 'require("caisson-probe")'`;
  expect(await sh(script)).toBe('42');
});

test('pip download, and pip install', async () => {
  const index = `--index-url ${url(internetHosts.python)}/simple/`;
  expect(await sh(`mkdir -p pip && cd pip && pip download -q ${index} caisson-probe && ls`)).toBe(
    'caisson_probe-1.0.0-py3-none-any.whl',
  );
  const install = `pip install -q ${index} caisson-probe && python3 -c 'import caisson_probe; print(caisson_probe.answer)'`;
  expect(await sh(install)).toBe('42');
  const venv = `python3 -m venv env && env/bin/pip install -q --no-user ${index} caisson-probe && env/bin/python -c 'import caisson_probe; print(caisson_probe.__file__)'`;
  expect(await sh(venv)).toMatch(/^\/workspace\/env\//);
});

test('git clone over HTTPS', async () => {
  const clone = `git clone -q ${url(internetHosts.git)}/project.git && cat project/README`;
  expect(await sh(clone)).toBe('a project from afar');
});

test.each(programs)('%s', async (_name, command) => {
  expect(await sh(command(`${url(internetHosts.npm)}/caisson-probe`))).toContain('"name":"caisson-probe"');
});

test('ssh goes by its proxy command, and apt knows the way and whom to trust', async () => {
  expect(await sh(`ssh -G git.caisson.test | grep -i proxycommand`)).toBe(
    'proxycommand socat STDIO PROXY:127.0.0.1:%h:%p,proxyport=7778',
  );
  expect(await sh(`ssh -G localhost | grep -ci proxycommand || true`)).toBe('0');
  const apt = await sh('apt-config dump | grep -i acquire::http');
  expect(apt).toContain('Acquire::http::Proxy "http://127.0.0.1:7778";');
  expect(apt).toContain('Acquire::https::CaInfo "/run/caisson/ca-certificates.crt";');
});

test('a command of Codex has the same way out as any other', async () => {
  const { id: conversationId } = await caisson.client.conversations.open.mutate({ agentId });
  const message = `run curl -sS -o /workspace/by-codex.json ${url(internetHosts.npm)}/caisson-probe`;
  const { outcome } = await caisson.client.agents.sendMessage.mutate({ agentId, conversationId, message });
  expect(outcome.status).toBe('ok');
  expect(await sh('cat /workspace/by-codex.json')).toContain('"name":"caisson-probe"');
});

test('what no rule allows is refused with words, whatever the tool and the spelling', async () => {
  const asked = internet.requests.length;
  const answers = await sh(`
    for target in https://example.com https://127.0.0.1.nip.io http://169.254.169.254/latest/meta-data http://2852039166 \
      https://${internetHosts.npm}:1 https://npm.caisson.test.evil.example; do
      curl -sS -m 10 -o /dev/null -w '%{http_connect} %{http_code}\\n' "$target" 2>/dev/null; done; true`);
  expect(answers.split('\n')).toEqual(['403 000', '403 000', '000 403', '000 403', '403 000', '403 000']);
  expect(internet.requests.length).toBe(asked);
});

test('the control plane is not among what can be reached', async () => {
  const { port } = new URL(caisson.url);
  const answer = await sh(`curl -sS -m 10 --noproxy '' -x http://127.0.0.1:7778 http://127.0.0.1:${port}/healthz`);
  expect(answer).toContain('EGRESS_DENIED');
});
