import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AgentId } from '../../src/kernel/ids.ts';
import { testAuthority } from '../doubles/internet/certificates.ts';
import { type Internet, internetHosts, internetSecrets, startInternet } from '../doubles/internet/internet.ts';
import { until } from '../until.ts';
import { startTestControlPlane, type TestControlPlane } from './support/control-plane.ts';
import { findInside } from './support/find-inside.ts';
import { inside } from './support/inside.ts';
import { programs } from './support/programs.ts';

const { npm, git, api } = internetSecrets;
/** Each of these gives a secret away. */
const hidden = [npm, git.password, api, Buffer.from(`${git.username}:${git.password}`).toString('base64')];

let caisson: TestControlPlane;
let internet: Internet;
let agentId: AgentId;
let otherId: AgentId;
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
  const [agent, other] = await Promise.all(
    ['with', 'without'].map((name) => caisson.client.agents.create.mutate({ name, wait: true })),
  );
  if (agent === undefined || other === undefined) throw new Error('the agents were not made');
  [agentId, otherId] = [agent.id, other.id];
});
afterAll(() => undo.disposeAsync());

const sh = async (script: string, id = agentId): Promise<string> => {
  const { stdout, stderr, exitCode } = await inside(caisson.provider, id, script);
  if (exitCode !== 0) throw new Error(`exit ${exitCode}: ${stdout}\n${stderr}`);
  return stdout.trim();
};
const url = (host: string): string => `https://${host}:${internet.port}`;
const give = async (host: string, form: { kind: 'bearer' } | { kind: 'basic'; username: string }, value: string) =>
  await caisson.client.secrets.set.mutate({ agentId, host, port: internet.port, form, value });

test('without a secret the private hosts ask for one', async () => {
  expect(await sh(`curl -sS -o /dev/null -w '%{http_code}' ${url(internetHosts.api)}`)).toBe('401');
});

test('a program that was started before uses a secret that is set while it runs', async () => {
  const script = `
    const fs = require('fs');
    fs.writeFileSync('/tmp/waiting', '');
    const look = setInterval(async () => {
      if (!fs.existsSync('/tmp/go')) return;
      clearInterval(look);
      const answer = await fetch('${url(internetHosts.api)}/late');
      fs.writeFileSync('/tmp/late', String(answer.status));
    }, 20);`;
  const waiting = sh(`node -e "$(cat <<'E'\n${script}\nE\n)"`);
  await until(
    'the program runs',
    async () => (await inside(caisson.provider, agentId, 'test -e /tmp/waiting')).exitCode === 0,
  );
  await give(internetHosts.api, { kind: 'bearer' }, api);
  await sh('touch /tmp/go');
  await waiting;
  expect(await sh('cat /tmp/late')).toBe('200');
});

test.each(programs)('%s calls an API, with nothing set in the sandbox', async (_name, command) => {
  const answer = JSON.parse(await sh(command(`${url(internetHosts.api)}/user`))) as { authorization: string };
  expect(answer.authorization).toBe(`Bearer ${'*'.repeat(api.length)}`); // the host has echoed what it was shown
});

test('git clones over HTTPS, and pushes', async () => {
  await give(internetHosts.privateGit, { kind: 'basic', username: git.username }, git.password);
  const repository = `${url(internetHosts.privateGit)}/project.git`;
  const identity = '-c user.name=Agent -c user.email=agent@caisson.test';
  const work = `git clone -q ${repository} && cd project && cat README &&
    head -c 3000000 /dev/urandom > large && git add large && git ${identity} commit -q -m 'By the agent' && git push -q 2>&1`;
  expect(await sh(work)).toBe('a project from afar');
  expect(
    await sh(`git clone -q ${repository} again && cmp project/large again/large && git -C again log --format=%s -1`),
  ).toBe('By the agent');
});

test('npm installs from a private registry, and publishes to it', async () => {
  await give(internetHosts.privateNpm, { kind: 'bearer' }, npm);
  const script = `mkdir -p npm && cd npm && npm init -y >/dev/null &&
    npm install --registry ${url(internetHosts.privateNpm)} caisson-probe >/dev/null && node -p 'require("caisson-probe")'`;
  expect(await sh(script)).toBe('42');
  const { host } = new URL(url(internetHosts.privateNpm));
  const publish = `mkdir -p made && cd made && npm init -y >/dev/null && echo '//${host}/:_authToken=none' > .npmrc &&
    npm publish --registry ${url(internetHosts.privateNpm)} 2>/dev/null`;
  expect(await sh(publish)).toBe('+ made@1.0.0');
});

test('the same hosts ask an agent who has no secret', async () => {
  expect(await sh(`curl -sS -o /dev/null -w '%{http_code}' ${url(internetHosts.api)}`, otherId)).toBe('401');
});

test('the secrets are nowhere in the sandbox: not in its files, its environment, or its memory', async () => {
  // Something that is there is found, so that nothing found means something.
  const known = 'a text that only memory holds';
  const spelled = Buffer.from(known).toString('hex');
  const hold = `node -e 'const held = Buffer.from("${spelled}", "hex"); require("fs").writeFileSync("/tmp/holding", ""); setInterval(() => held.length, 1e6)' >/dev/null 2>&1 &`;
  await sh(`${hold} echo $! > /tmp/holder`);
  await until(
    'the text is held',
    async () => (await inside(caisson.provider, agentId, 'test -e /tmp/holding')).exitCode === 0,
  );
  const holder = await sh('cat /tmp/holder');
  expect((await findInside(caisson.provider, agentId, [known])).places).toContain(`memory of ${holder}`);
  await sh(`kill ${holder}`);

  const { places, files, memories } = await findInside(caisson.provider, agentId, hidden);
  expect(places).toEqual([]);
  expect(files).toBeGreaterThan(1_000);
  expect(memories).toBeGreaterThan(0);
});

test('the sandbox has the certificate of its authority, not the key, and not that of another', async () => {
  const [own, others] = [await sh('cat /run/caisson/extra-ca.crt'), await sh('cat /run/caisson/extra-ca.crt', otherId)];
  const subject =
    'openssl x509 -noout -subject 2>/dev/null || node -e \'console.log(new (require("crypto").X509Certificate)(require("fs").readFileSync(0)).subject)\'';
  expect(await sh(`tail -n 12 /run/caisson/extra-ca.crt | sed -n '/BEGIN/,$p' | (${subject})`)).toContain(
    `Caisson for ${agentId}`,
  );
  expect(own).not.toContain('PRIVATE');
  expect(own).not.toBe(others);
});

test('nor in what the control plane tells, stores in clear, or records', async () => {
  const log = await until('the connections are in the log', async () => {
    const { items } = await caisson.client.egress.log.query({ agentId });
    return items.filter(({ withSecret }) => withSecret > 0).length >= 3 ? items : undefined;
  });
  const { items: secrets } = await caisson.client.secrets.list.query({ agentId });
  await until('the uses are noted', async () => {
    const { items } = await caisson.client.secrets.list.query({ agentId });
    return items.every(({ lastUsedAt }) => lastUsedAt !== null);
  });
  const events = await caisson.client.events.read.query({ agentId });
  const told = JSON.stringify([log, secrets, events]);
  const stored = await Promise.all(
    ['caisson.db', 'caisson.db-wal'].map((file) => readFile(join(caisson.dataDir, file), 'latin1')),
  );
  for (const text of hidden) expect(told + stored.join('')).not.toContain(text);
});

test('what is removed is asked for again at once', async () => {
  const { items } = await caisson.client.secrets.list.query({ agentId });
  for (const { id: secretId } of items) await caisson.client.secrets.remove.mutate({ agentId, secretId });
  expect(await sh(`curl -sS -o /dev/null -w '%{http_code}' ${url(internetHosts.api)}`)).toBe('401');
  const clone = `GIT_TERMINAL_PROMPT=0 git clone -q ${url(internetHosts.privateGit)}/project.git once-more 2>&1 || true`;
  expect(await sh(clone)).toContain('could not read Username');
});
