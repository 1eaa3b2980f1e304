import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../until.ts';

const lock = new URL('../../scripts/machine-lock.mjs', import.meta.url).href;
/** Says `held` when it holds the lock, and gives it back when its input ends. */
const script = `
  const { acquireLock } = await import(${JSON.stringify(lock)});
  const release = await acquireLock('test', { work: 'set-up', log: (line) => console.log(line), remindMs: 0 });
  console.log('held');
  for await (const _ of process.stdin);
  release();
`;

test('who has to wait is told for what, whose it is and where, and again with the time it took so far', async () => {
  await using held = new AsyncDisposableStack();
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'caisson-lock-')));
  held.defer(() => rm(directory, { recursive: true }));
  const start = (): { child: ChildProcessWithoutNullStreams; said: () => string } => {
    const env = { PATH: process.env['PATH'], TMPDIR: directory };
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { cwd: directory, env });
    held.defer(() => void child.kill());
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    return { child, said: () => said };
  };
  const first = start();
  await until('the first one holds it', () => first.said() === 'held\n');
  const second = start();
  const waiting = `waiting for another set-up on this machine to end (process ${first.child.pid}, in ${directory})`;
  await until('the second one waits', () => second.said().includes(`${waiting}, for `));
  expect(second.said()).toMatch(/^[^\n]*\)\n[^\n]*\), for \d+ s now\n/);
  first.child.stdin.end();
  await once(first.child, 'close');
  await until('the second one holds it', () => second.said().endsWith('held\n'));
  second.child.stdin.end();
  expect(await once(second.child, 'close')).toEqual([0, null]);
});
