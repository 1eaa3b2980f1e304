import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningServer, startServer } from '../controlplane/running-server.ts';
import { caisson, type Ended } from './command.ts';

let server: RunningServer;
let cli: (...args: string[]) => Promise<Ended>;
beforeAll(async () => {
  server = await startServer();
  const auditor = await server.caller('ida', 'auditor');
  const environment = { CAISSON_URL: server.url, CAISSON_API_KEY: auditor.secret };
  cli = (...args) => caisson(args, environment);
  await server.mutate(server.alice, 'agents.create', { name: 'one' });
  await server.mutate(server.alice, 'agents.create', { name: 'two' });
  await server.mutate(server.bob, 'agents.create', { name: 'three' });
});
afterAll(() => server[Symbol.asyncDispose]());

test('search lists who did what, by user and action, the newest first', async () => {
  const { stdout, exitCode } = await cli('audit', 'search', '--user', 'alice', '--action', 'agents.create', '--json');
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject([
    { seq: 2, userName: 'alice', outcome: 'ok', details: { name: 'two' } },
    { seq: 1, userName: 'alice', details: { name: 'one' } },
  ]);
  const table = await cli('audit', 'search', '--since', '1h', '--limit', '1');
  expect(table.stdout).toMatch(/3 .* bob +agents\.create +ok .*name=three/);
  expect(table.stderr).toContain('There are more than these 1');
});

test('export prints every record, one JSON object a line', async () => {
  const { stdout } = await cli('audit', 'export', '--after', '1');
  const records = stdout.trimEnd().split('\n');
  expect(JSON.parse(records[0] ?? '')).toMatchObject({
    record: { seq: 2 },
    hash: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
});

test('verify prints the head; of a chain that was tampered with it names the record, and ends with 1', async () => {
  const { stdout, stderr, exitCode } = await cli('audit', 'verify');
  expect([exitCode, stderr]).toEqual([0, expect.stringContaining('is whole')]);
  expect(stdout).toMatch(/^\d+:[0-9a-f]{64}\n$/);
  expect((await cli('audit', 'verify', '--known', stdout.trim())).exitCode).toBe(0);
  expect((await cli('audit', 'verify', '--known', `2:${'a'.repeat(64)}`)).stderr).toContain('Record 2');
  const database = new DatabaseSync(server.databaseFile);
  database.exec('drop trigger audit_records_stay');
  database.exec(`update audit_records set body = replace(body, 'alice', 'mallory') where seq = 2`);
  database.close();
  const broken = await cli('audit', 'verify');
  expect([broken.exitCode, broken.stdout]).toEqual([1, '']);
  expect(broken.stderr).toContain('Record 2 of the audit is not what was written.');
});

test('who is no auditor is refused', async () => {
  const member = { CAISSON_URL: server.url, CAISSON_API_KEY: server.alice.secret };
  for (const command of ['search', 'verify', 'export']) {
    expect(await caisson(['audit', command], member)).toMatchObject({ exitCode: 1, stdout: '' });
  }
});
