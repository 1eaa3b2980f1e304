import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { StandstillWatch } from '../../../src/guest/files/standstill-watch.ts';
import { until } from '../../until.ts';

let child: ChildProcess;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
});
afterEach(async () => {
  vi.useRealTimers();
  child.kill('SIGKILL');
  await once(child, 'close');
});

async function run(script: string): Promise<void> {
  child = spawn('sh', ['-c', `echo; ${script}`], { stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout ?? expect.fail('it has no output'), 'data');
}

/** In hundredths of a second. */
function processorTime(): number {
  const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(' ');
  return Number(stat[13]) + Number(stat[14]);
}

test('a process that computes without a word does not stand still', async () => {
  await run('while :; do :; done');
  const tell = vi.fn<() => void>();
  using _ = new StandstillWatch(child.pid, tell);
  for (let period = 0; period < 4; period++) {
    const before = processorTime();
    await until('it has computed', () => processorTime() > before + 60);
    vi.advanceTimersByTime(5_000);
  }
  expect(tell).not.toHaveBeenCalled();
});

test('a process that waits stands still after 10 s, and while its reader holds it up it does not', async () => {
  await run('exec sleep 100000');
  await until('it sleeps', () => readFileSync(`/proc/${child.pid}/comm`, 'utf8') === 'sleep\n');
  await until('it is all there', () => readFileSync(`/proc/${child.pid}/stat`, 'utf8').includes(' S '));
  const tell = vi.fn<() => void>();
  using watch = new StandstillWatch(child.pid, tell);
  watch.hold();
  vi.advanceTimersByTime(60_000);
  expect(tell).not.toHaveBeenCalled();
  watch.go();
  vi.advanceTimersByTime(10_000);
  expect(tell).not.toHaveBeenCalled();
  vi.advanceTimersByTime(5_000);
  expect(tell).toHaveBeenCalledOnce();
});
