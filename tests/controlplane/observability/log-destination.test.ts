import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { LogDestination } from '../../../src/controlplane/observability/log-destination.ts';
import { createLogger } from '../../../src/controlplane/observability/logger.ts';
import { until } from '../../until.ts';

const repository = join(import.meta.dirname, '../../..');
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'caisson-log-'));
});
afterAll(() => rm(directory, { recursive: true }));

function fifo(name: string): string {
  const path = join(directory, name);
  execFileSync('mkfifo', [path]);
  return path;
}

describe('a pipe whose reader stands still', () => {
  /** Both ends; all that stands in it. */
  function pipe(name: string) {
    const fd = openSync(fifo(name), constants.O_RDWR | constants.O_NONBLOCK);
    const buffer = Buffer.alloc(1_048_576);
    let text = '';
    const read = (): string => {
      try {
        for (;;) text += buffer.toString('utf8', 0, readSync(fd, buffer));
      } catch {
        return text;
      }
    };
    return { fd, read, [Symbol.dispose]: () => closeSync(fd) };
  }

  const numbers = (text: string): number[] =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { n: number }).n);

  test('lines wait in order, whole, and none is lost', async () => {
    using slow = pipe('slow');
    const destination = new LogDestination(slow.fd);
    const logger = createLogger({ level: 'info', destination });
    for (let n = 0; n < 3_000; n++) logger.info({ n, text: 'ü'.repeat(100) }, 'line');
    await until('all is read', () => slow.read().includes('"n":2999,') && slow.read().endsWith('\n'));
    expect(numbers(slow.read())).toEqual(Array.from({ length: 3_000 }, (_, n) => n));
    expect(destination.dropped).toBe(0);
  });

  test('beyond 4 MiB lines are dropped, and how many is told where the gap is', async () => {
    using still = pipe('still');
    const destination = new LogDestination(still.fd);
    const logger = createLogger({ level: 'info', destination });
    for (let n = 0; n < 6_000; n++) logger.info({ n, text: 'x'.repeat(1_000) }, 'line');
    const { dropped } = destination;
    expect(dropped).toBeGreaterThan(1_000);
    await until('the number is told', () => still.read().includes('log lines were dropped'));
    logger.info({ n: 6_000 }, 'line');
    const lines = still
      .read()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { n?: number; level: string; dropped?: number });
    const kept = 6_000 - dropped;
    expect(lines.slice(0, kept).map(({ n }) => n)).toEqual(Array.from({ length: kept }, (_, n) => n));
    expect(lines.slice(kept)).toMatchObject([{ level: 'warn', dropped }, { n: 6_000 }]);
    expect(kept * 1_000).toBeLessThan(5 * 1_024 ** 2);
  });

  test('it is tried again after 10 ms, then after twice as long up to 1 s, and soon once more when some was taken', () => {
    using still = pipe('pace');
    while (fills(still.fd));
    const before = process.listeners('exit');
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    using _ = { [Symbol.dispose]: () => void vi.useRealTimers() };
    const pauses = vi.spyOn(globalThis, 'setTimeout');
    new LogDestination(still.fd).write(`${'x'.repeat(1_048_576)}\n`);
    for (let n = 0; n < 9; n++) vi.advanceTimersToNextTimer();
    still.read();
    vi.advanceTimersToNextTimer();
    expect(pauses.mock.calls.map(([, ms]) => ms)).toEqual([10, 20, 40, 80, 160, 320, 640, 1_000, 1_000, 1_000, 10]);
    for (const each of process.listeners('exit')) if (!before.includes(each)) process.off('exit', each);
  });

  test('what waits does not keep the exit listeners once it is written', async () => {
    using slow = pipe('exit');
    const before = process.listenerCount('exit');
    while (fills(slow.fd));
    new LogDestination(slow.fd).write('last\n');
    expect(process.listenerCount('exit')).toBe(before + 1);
    await until('it is read', () => slow.read().endsWith('last\n'));
    await until('the listener is gone', () => process.listenerCount('exit') === before);
  });
});

function fills(fd: number): boolean {
  try {
    return writeSync(fd, 'x'.repeat(4_096)) > 0;
  } catch {
    return false;
  }
}

/** Starts one whose log goes to `stderr`, lets it log more than a pipe holds, and stops it. */
async function servesAndStops(stderr: number, name: string): Promise<{ exitCode: number | null; answers: number[] }> {
  const child = spawn(process.execPath, ['src/cli/main.ts', 'start'], {
    cwd: repository,
    stdio: ['ignore', 'pipe', stderr],
    env: {
      PATH: process.env['PATH'],
      CAISSON_PORT: '0',
      CAISSON_DATA_DIR: join(directory, name),
      CAISSON_LOG_LEVEL: 'debug',
      DOCKER_HOST: 'unix:///nonexistent.sock',
    },
  });
  const exited = once(child, 'exit');
  try {
    let printed = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (printed += text));
    const url = await until('it serves', () => /http:\/\/127\.0\.0\.1:\d+/.exec(printed)?.[0]);
    const answers = new Set<number>();
    for (let n = 0; n < 600; n++) {
      const { status } = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(10_000) });
      answers.add(status);
    }
    child.kill('SIGTERM');
    await exited;
    return { exitCode: child.exitCode, answers: [...answers] };
  } finally {
    child.kill('SIGKILL');
  }
}

test('a control plane whose log nobody reads serves, and stops in order', async () => {
  const path = fifo('unread');
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY); // one that blocks, as a shell opens it
  expect(await servesAndStops(writer, 'unread-data')).toEqual({ exitCode: 0, answers: [200] });
  closeSync(writer);
  closeSync(reader);
});

test('a control plane whose log has a full disk serves, and stops in order', async () => {
  const full = openSync('/dev/full', 'w');
  expect(await servesAndStops(full, 'full-data')).toEqual({ exitCode: 0, answers: [200] });
  closeSync(full);
});
