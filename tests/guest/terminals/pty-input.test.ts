import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PtyInput } from '../../../src/guest/terminals/pty-input.ts';
import { HandClock } from '../../acp/hand-clock.ts';

/** A pipe, which takes 64 KiB, in place of a terminal. */
function openPipe() {
  const directory = mkdtempSync(join(tmpdir(), 'caisson-input-'));
  const path = join(directory, 'pipe');
  execFileSync('mkfifo', [path]);
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const clock = new HandClock();
  const input = new PtyInput(fd, clock, () => true);
  const buffer = Buffer.alloc(64 * 1024);
  return {
    input,
    /** The program reads all that there is, and all that comes then. */
    readAll: (): string => {
      let text = '';
      for (let waits = true; waits;) {
        waits = input.pending > 0;
        text += buffer.toString('latin1', 0, readSync(fd, buffer));
        clock.advance(64); // what waits is tried again
      }
      return text;
    },
    [Symbol.dispose]: () => {
      closeSync(fd);
      rmSync(directory, { recursive: true });
    },
  };
}

const digits = (count: number): string => '0123456789'.repeat(Math.ceil(count / 10)).slice(0, count);

test('small input that the program does not take is put together, and reaches it in order', () => {
  using pipe = openPipe();
  const { input, readAll } = pipe;
  const taken: number[] = [];
  const take = (bytes: number): void => void taken.push(bytes);
  const other: number[] = [];
  input.write(Buffer.from('#'.repeat(64 * 1024)), take);
  expect(taken).toEqual([64 * 1024]);
  for (const digit of digits(40_000)) input.write(Buffer.from(digit), take);
  input.write(Buffer.from('[another reader]'), (bytes) => other.push(bytes));
  for (const digit of digits(10)) input.write(Buffer.from(digit), take);
  expect(input.pending).toBe(40_026);
  expect(readAll()).toBe(`${'#'.repeat(64 * 1024)}${digits(40_000)}[another reader]${digits(10)}`);
  expect(taken.slice(1)).toEqual([16_384, 16_384, 7_232, 10]); // and not 40,010 times 1
  expect(other).toEqual([16]);
});

test('input that holds nothing is nothing', () => {
  using pipe = openPipe();
  const { input, readAll } = pipe;
  input.write(Buffer.alloc(64 * 1024), () => undefined);
  const taken: number[] = [];
  for (let i = 0; i < 10; i++) input.write(Buffer.alloc(0), (bytes) => taken.push(bytes));
  input.write(Buffer.from('x'), (bytes) => taken.push(bytes));
  expect(readAll()).toHaveLength(64 * 1024 + 1);
  expect(taken).toEqual([1]);
});
