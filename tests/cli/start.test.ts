import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../until.ts';
import { CliProcess, type Ended } from './command.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'caisson-start-'));
});
afterAll(() => rm(directory, { recursive: true }));

/** Starts a control plane without an engine, asks it to stop when it serves, and waits for the end of the process. */
async function startAndStop(environment: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const command = new CliProcess(['start'], {
    CAISSON_PORT: '0',
    CAISSON_DATA_DIR: directory,
    DOCKER_HOST: 'unix:///nonexistent.sock',
    ...environment,
  });
  await until('it serves', () => command.stdout.includes('is ready'));
  command.child.kill('SIGTERM');
  return await command.ended();
}

test('a control plane that leaves nothing open ends by itself', async () => {
  const { exitCode, stderr } = await startAndStop();
  expect(exitCode).toBe(0);
  expect(stderr).toContain('Stopping.');
  expect(stderr).not.toContain('still open');
});

test('what is left open when the control plane is closed is named, and does not keep the process', async () => {
  const leak = '--import=data:text/javascript,setInterval(()=>{},1e6)';
  const { exitCode, stderr } = await startAndStop({ NODE_OPTIONS: leak });
  expect(exitCode).toBe(0);
  expect(stderr).toMatch(/The control plane is closed; still open: .*\bTimeout\b/);
});

test('the process is left past the teardown of Node, with the exit code that it has', async () => {
  const watch =
    'const { reallyExit } = process; process.reallyExit = (code) => { process._rawDebug(`left with ${code}`); reallyExit.call(process, code); };';
  const leave = `--import=data:text/javascript,${encodeURIComponent(watch)}`;
  const { exitCode, stderr } = await startAndStop({ NODE_OPTIONS: leave });
  expect(stderr).toContain('left with 0');
  expect(exitCode).toBe(0);
});

test('a start that fails for a defect tells in the log what happened', async () => {
  const broken = await mkdtemp(join(directory, 'broken-'));
  const database = new DatabaseSync(join(broken, 'caisson.db'));
  database.exec('create table agents (id text)');
  database.close();
  const { exitCode, stderr } = await new CliProcess(['start'], { CAISSON_PORT: '0', CAISSON_DATA_DIR: broken }).ended();
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/"msg":"the start failed"/);
  expect(stderr).toContain('table \\"agents\\" already exists');
});
