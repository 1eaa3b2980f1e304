import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { AgentId } from '../../src/kernel/ids.ts';
import { hourMs } from '../../src/controlplane/egress/log/egress-log.ts';
import { anEgressEntry } from '../contracts/egress-log-store.ts';
import { type RunningServer, startServer } from '../controlplane/running-server.ts';
import { until } from '../until.ts';
import { caisson, type Ended } from './command.ts';
import { Person } from './person.ts';

let server: RunningServer;
let agentId: AgentId;
const environment = (who: 'alice' | 'admin' = 'alice'): Record<string, string> => ({
  CAISSON_URL: server.url,
  CAISSON_API_KEY: server[who].secret,
});
const as = (who: 'alice' | 'admin', ...args: string[]): Promise<Ended> =>
  caisson(['egress', ...args], environment(who));
const alice = (...args: string[]): Promise<Ended> => as('alice', ...args);

beforeAll(async () => {
  server = await startServer();
  const { data } = await server.mutate(server.alice, 'agents.create', { name: 'dev' });
  agentId = (data as { id: AgentId }).id;
});
afterEach(() => Person.allLeave());
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

test('a policy is shown, chosen, added to and taken from', async () => {
  expect(await alice('show', 'dev')).toEqual({ exitCode: 0, stdout: 'mode: the default, deny\n', stderr: '' });
  const { stdout: chosen } = await alice('mode', 'dev', 'open', '--why', 'a try');
  expect(chosen).toMatch(/^mode: open, held to ask by the operator\nchanged .* by alice: a try\n$/);
  const added = await alice(
    'allow',
    'dev',
    'npm',
    '*.example.com',
    '--port',
    '22',
    '--for',
    '2h',
    '--why',
    'the build',
  );
  expect(added.stdout).toMatch(/allow +npm +in 2 h +alice +the build\n/);
  expect(added.stdout).toMatch(/allow +\*\.example\.com +22 +in 2 h/);
  await alice('deny', 'dev', 'bad.example');
  const { rules } = JSON.parse((await alice('show', 'dev', '--json')).stdout) as { rules: { host: string }[] };
  expect(rules).toMatchObject([
    { preset: 'npm' },
    { ports: [22] },
    { host: 'bad.example', ports: 'any', effect: 'deny' },
  ]);
  expect((await alice('test', 'dev', 'bad.example')).stdout).toBe(
    'deny  bad.example:443  bad.example, the policy of the agent\n',
  );
  expect((await alice('test', 'dev', '169.254.169.254:80')).stdout).toBe(
    'deny  169.254.169.254:80  not public: only CAISSON_EGRESS_INTERNAL can allow it\n',
  );
  expect(await alice('allow', 'dev', '10.0.0.1')).toEqual({
    exitCode: 1,
    stdout: '',
    stderr: expect.stringMatching(
      /^error: 10\.0\.0\.1 is an address that is not public.*\nhint: .*CAISSON_EGRESS_INTERNAL.*\n$/,
    ),
  });
  expect((await alice('test', 'dev', 'git.example.com:22')).stdout).toMatch(/^allow {2}git\.example\.com:22 /);
  expect((await alice('remove', 'dev', 'npm', 'bad.example')).stdout).not.toMatch(/npm|bad/);
  expect(await alice('remove', 'dev', 'npm')).toMatchObject({
    exitCode: 1,
    stderr: 'error: No rule here is about npm.\nhint: List them with `caisson egress show dev`.\n',
  });
});

test('of everyone by administrators, of oneself by anybody, and of nobody by nobody', async () => {
  expect((await as('admin', 'allow', '@everyone', 'given.example')).exitCode).toBe(0);
  expect((await as('admin', 'permit', `@ceiling:${server.alice.principal.userId}`, 'npm')).stdout).toContain('permit');
  expect((await as('admin', 'show', '@ceiling:alice')).stdout).toMatch(/permit +npm/);
  // A member sees the own one, by name too, and nobody else's.
  expect((await alice('show', '@ceiling:alice')).stdout).toMatch(/permit +npm/);
  expect((await alice('show', '@ceiling:bob')).stderr).toContain('The role member does not allow this');
  expect((await as('admin', 'show', '@ceiling:nobody')).stderr).toContain('There is no user nobody.');
  expect((await alice('test', 'dev', 'given.example')).stdout).toContain('the policy of everyone');
  expect((await alice('allow', '@me', 'mine.example')).exitCode).toBe(0);
  expect((await alice('show', '@everyone')).stderr).toContain('The role member does not allow this');
  expect((await alice('show', '@nobody')).stderr).toContain('hint: Say @me, @everyone');
  expect((await alice('mode', 'dev', 'wide')).exitCode).toBe(2);
  expect((await alice('allow', 'dev', 'https://example.com/path')).stderr).toContain('Name a host as example.com,');
  expect((await alice('presets')).stdout).toMatch(/^npm +packages of npm and Yarn\n +registry\.npmjs\.org:443 /);
});

test('what has no mode says so, and what has the default says which that is', async () => {
  const modeOf = async (who: 'alice' | 'admin', whose: string): Promise<string | undefined> =>
    (await as(who, 'show', whose)).stdout.split('\n')[0];
  expect(await modeOf('alice', '@me')).toBe(
    "mode: none; these rules hold for all agents of the user, in each agent's own mode",
  );
  expect(await modeOf('admin', '@everyone')).toBe('mode: the default, ask');
  expect(await modeOf('admin', '@ceiling:alice')).toBe('mode: the default, held to ask by the operator');
  await as('admin', 'mode', '@everyone', 'open');
  expect(await modeOf('admin', '@ceiling:alice')).toBe('mode: the default, open');
  expect((await as('admin', 'mode', '@ceiling:alice', 'allowlist')).stdout).toMatch(/^mode: allowlist\n/);
  await as('admin', 'mode', '@everyone', 'default');
  await as('admin', 'mode', '@ceiling:alice', 'default');
});

test('what waits is listed and decided', async () => {
  expect((await alice('pending')).stderr).toBe('Nothing waits for a decision.\n');
  const signal = new AbortController().signal;
  const held = server.egressPolicy.decide(agentId, { host: 'wanted.example', port: 443 }, signal);
  const { id } = await until('the question', () => server.egressPolicy.pending()[0]);
  expect((await alice('pending', 'dev')).stdout).toMatch(new RegExp(`${id} +dev .* wanted\\.example +443\n`));
  expect((await alice('decide', id, 'once')).stdout).toBe('Allowed (once): wanted.example at 443\n');
  expect((await held).verdict).toBe('allow');
  expect((await alice('decide', id, 'deny')).stderr).toContain('hint: It was answered, or its time is over.');
  expect((await alice('decide', 'nope', 'deny')).stderr).toMatch(/^error: No egress request has this id\.\n/);
});

test('the log and the usage are shown', async () => {
  expect((await alice('log', 'dev')).stderr).toBe('It has connected nowhere.\n');
  const hour = Math.floor(Date.now() / hourMs) * hourMs;
  const at = { hour, firstAt: hour, lastAt: hour };
  await server.storage.egressLog.addToLog([
    anEgressEntry(agentId, at),
    anEgressEntry(agentId, {
      ...at,
      host: 'bad.example',
      decision: 'deny',
      outcome: 'denied',
      rule: null,
      reason: `No${' and no'.repeat(30)}.`,
    }),
  ]);
  const { stdout } = await alice('log', 'dev');
  expect(stdout).toMatch(/2 +denied +bad\.example:443 .*No( and no){30}\.\n/);
  expect(stdout).toMatch(/2 +closed +example\.com:443 +\*\.com +used +100 B +9\.3 GiB\n/);
  const person = new Person(['egress', 'log', 'dev'], environment());
  expect(await person.ended()).toBe(0);
  expect(person.text).toMatch(/No( and no){30}\.\r\n/);
  expect((await alice('log', 'dev', '--host', 'bad.example')).stdout).not.toContain('closed');
  expect((await alice('usage')).stdout).toMatch(/\d{4}-\d\d-\d\d +dev +4 +2 +200 B +19 GiB\n/);
});

test('who allows an agent something in the mode deny is told that it lets out nothing', async () => {
  await server.mutate(server.alice, 'agents.create', { name: 'shut' });
  expect((await alice('allow', 'shut', 'example.com')).stderr).toBe(
    'note: Rules of the agent let out nothing while its mode is deny. `caisson egress mode shut allowlist` changes that.\n',
  );
  expect((await alice('deny', 'shut', 'bad.example')).stderr).toBe('');
  await alice('mode', 'shut', 'allowlist');
  expect((await alice('allow', 'shut', 'www.example.com')).stderr).toBe('');
  await as('admin', 'mode', '@everyone', 'deny');
  expect((await alice('allow', 'shut', 'api.example.com')).stderr).toContain('the mode of everyone');
  expect((await as('admin', 'allow', '@everyone', 'given.example')).stderr).toBe('');
  await as('admin', 'mode', '@everyone', 'default');
});
