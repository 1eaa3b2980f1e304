import { beforeEach, expect, test, vi } from 'vitest';
import { killFamily } from '../../../src/guest/processes/kill-family.ts';
import type { ProcEntry } from '../../../src/guest/processes/proc.ts';
import { HandClock } from '../../acp/hand-clock.ts';

/** The processes there are, and what was signalled: numbers come again here at once, as they do not at will in a kernel. */
const world = vi.hoisted(() => ({ entries: new Map<number, unknown>(), sent: [] as [number, string][] }));
vi.mock('../../../src/guest/processes/proc.ts', async (original) => ({
  ...(await original<object>()),
  readProcesses: () => Promise.resolve([...world.entries.values()]),
  readProcess: (pid: number) => world.entries.get(pid),
}));
vi.mock('../../../src/guest/processes/managed-process.ts', () => ({
  sendSignal: (target: number, signal: string) => world.sent.push([target, signal]),
}));

const entry = (pid: number, rest: Partial<ProcEntry> = {}): ProcEntry => ({
  pid,
  ppid: 1,
  group: pid,
  session: pid,
  state: 'S',
  name: 'sleep',
  cpuMs: 0,
  startedMs: 1_000,
  ...rest,
});
const run = (...entries: ProcEntry[]): void => {
  world.entries = new Map(entries.map((each) => [each.pid, each]));
};
beforeEach(() => {
  world.sent = [];
});

/** Kills what is under the number 100, and has `next` happen between the first look and the second. */
async function kill(next: () => void) {
  const clock = new HandClock();
  const spared = new Set<number>();
  const killing = killFamily({ pid: 100, isLeader: true, signal: 'SIGTERM', graceMs: 1_000, clock, spared });
  await vi.waitUntil(() => world.sent.length > 0, { timeout: 20_000 });
  next();
  world.sent = [];
  const over = killing.then(() => true);
  const turn = () => new Promise<boolean>((resolve) => setImmediate(resolve, false));
  while (!(await Promise.race([over, turn()]))) clock.advance(1_000);
  return { answer: await killing, sent: world.sent };
}

test('a process that took the number meanwhile is left alone, with all that is its own', async () => {
  run(entry(100));
  const { answer, sent } = await kill(() =>
    run(entry(100, { startedMs: 2_000 }), entry(101, { ppid: 100, session: 100, group: 100, startedMs: 2_000 })),
  );
  expect(sent).toEqual([]);
  expect(answer).toEqual({ found: 1, left: [] });
});

test('a process that took the number of a child meanwhile is left alone', async () => {
  run(entry(100), entry(101, { ppid: 100 }));
  const { answer, sent } = await kill(() => run(entry(101, { startedMs: 2_000 })));
  expect(sent).toEqual([]);
  expect(answer).toEqual({ found: 2, left: [] });
});

test('a child that has lost its parent meanwhile is killed all the same', async () => {
  run(entry(100), entry(101, { ppid: 100 }));
  const { answer, sent } = await kill(() => run(entry(101)));
  expect(sent[0]).toEqual([101, 'SIGKILL']);
  expect(answer).toEqual({ found: 2, left: [101] });
});
