import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type RunningServer, startServer } from '../controlplane/running-server.ts';
import { caisson, type Ended } from './command.ts';
import { Person } from './person.ts';

const value = 'glpat-typed-where-nobody-sees-it';

let server: RunningServer;
const alice = (args: readonly string[], input = ''): Promise<Ended> =>
  caisson(['secrets', ...args], { CAISSON_URL: server.url, CAISSON_API_KEY: server.alice.secret }, input);

beforeAll(async () => {
  server = await startServer();
  await server.mutate(server.alice, 'agents.create', { name: 'dev' });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

test('a secret is read from stdin, listed without its value, and removed by its host', async () => {
  expect((await alice(['ls', 'dev'])).stderr).toBe('No secrets.\n');
  const set = await alice(['set', 'dev', 'git.example.com:8443', '--header', 'PRIVATE-TOKEN'], `${value}\n`);
  expect(set).toEqual({ exitCode: 0, stdout: expect.stringMatching(/^sec-\w+\n$/), stderr: '' });
  const [stored] = await server.storage.secrets.listSealed().then(({ secrets }) => secrets);
  expect(stored).toMatchObject({
    host: 'git.example.com',
    port: 8443,
    form: { kind: 'header', header: 'private-token' },
  });
  await alice(['set', 'dev', 'github.com', '--basic', 'x-access-token'], value);
  const { stdout } = await alice(['ls', 'dev']);
  expect(stdout).toMatch(/git\.example\.com:8443 +private-token .* alice +never/);
  expect(stdout).toMatch(/github\.com:443 +basic, x-access-token/);
  expect(stdout + set.stdout + (await alice(['ls', 'dev', '--json'])).stdout).not.toContain(value);
  expect((await alice(['rm', 'dev', 'github.com'])).stdout).toBe('Removed: github.com:443\n');
  expect((await alice(['rm', 'dev', set.stdout.trim()])).stdout).toBe('Removed: git.example.com:8443\n');
  expect(await alice(['rm', 'dev', 'github.com'])).toMatchObject({
    exitCode: 1,
    stderr: 'error: There is no secret for github.com here.\nhint: List them with `caisson secrets list dev`.\n',
  });
});

afterEach(() => Person.allLeave());

test('somebody at a terminal is asked, and sees nothing of what is typed', async () => {
  const environment = { CAISSON_URL: server.url, CAISSON_API_KEY: server.alice.secret };
  const person = new Person(['secrets', 'set', 'dev', 'typed.example.com'], environment);
  await person.sees('Secret for typed.example.com:443 (it is not shown): ');
  person.type(`${value}\r`);
  expect(await person.ended()).toBe(0);
  expect(person.text).toMatch(/sec-\w+/);
  expect(person.text).not.toContain(value.slice(0, 6));
  expect((await alice(['rm', 'dev', 'typed.example.com'])).exitCode).toBe(0);
  const leaving = new Person(['secrets', 'set', 'dev', 'typed.example.com'], environment);
  await leaving.sees('(it is not shown): ');
  leaving.type('\u0003');
  expect(await leaving.ended()).toBe(130);
  expect((await alice(['ls', 'dev'])).stderr).toBe('No secrets.\n');
});

test('of all agents by @me, and of nobody by nobody', async () => {
  expect((await alice(['set', '@me', 'api.example.com'], `${value}\n`)).exitCode).toBe(0);
  expect((await alice(['ls', '@me'])).stdout).toMatch(/api\.example\.com:443 +bearer/);
  expect((await alice(['ls', 'dev'])).stderr).toBe('No secrets.\n');
  expect((await alice(['ls', '@you'])).stderr).toContain('hint: Say @me, or name an agent.');
});

test('the value is no argument, and what is refused does not show it', async () => {
  expect((await alice(['set', 'dev', 'api.example.com', value])).exitCode).toBe(2);
  const broken = await alice(['set', 'dev', 'api.example.com'], `${value}\nand more\n`);
  expect(broken).toMatchObject({ exitCode: 1, stdout: '', stderr: expect.stringContaining('without line breaks') });
  expect(broken.stderr).not.toContain(value);
  expect((await alice(['set', 'dev', 'https://api.example.com'], value)).exitCode).toBe(2);
  expect((await alice(['set', 'dev', 'a.example', '--basic', 'x', '--header', 'y'], value)).stderr).toContain(
    'not both',
  );
});
