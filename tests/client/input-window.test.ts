import { expect, test } from 'vitest';
import { InputWindow } from '../../src/client/terminals/input-window.ts';
import { CaissonError } from '../../src/kernel/errors.ts';

const kibibyte = 1024;

/** A connection that notes what is sent over it. */
function connected(input: InputWindow): number[] {
  const sent: number[] = [];
  input.connect((bytes) => sent.push(bytes.length));
  return sent;
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  await new Promise((resolve) => setImmediate(resolve));
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending;
}

test('128 KiB are sent ahead, in messages of 64; the rest when the terminal has taken some', async () => {
  const input = new InputWindow();
  const sent = connected(input);
  const writing = input.write(new Uint8Array(300 * kibibyte));
  expect(sent).toEqual([64, 64].map((size) => size * kibibyte));
  expect(await isSettled(writing)).toBe(false);
  input.accepted(64 * kibibyte);
  expect(sent).toHaveLength(3);
  input.accepted(192 * kibibyte);
  expect(sent).toEqual([64, 64, 64, 64, 44].map((size) => size * kibibyte));
  await writing;
});

test('writes keep their order, also a small one behind a large one that waits', async () => {
  const input = new InputWindow();
  const sent = connected(input);
  const writes = [100, 64, 1].map((size) => input.write(new Uint8Array(size * kibibyte)));
  expect(sent).toEqual([64, 36].map((size) => size * kibibyte)); // 28 KiB are free: neither 64 nor what is behind it
  input.accepted(100 * kibibyte);
  expect(sent).toEqual([64, 36, 64, 1].map((size) => size * kibibyte));
  await Promise.all(writes);
});

test('what is written while no connection is open goes over the next, which counts from nothing', async () => {
  const input = new InputWindow();
  const first = connected(input);
  void input.write(new Uint8Array(192 * kibibyte));
  input.disconnect();
  const later = input.write(new Uint8Array(1));
  expect(await isSettled(later)).toBe(false);
  input.accepted(128 * kibibyte); // late word of the old connection: nothing is sent into the void
  expect(first).toHaveLength(2);
  expect(connected(input)).toEqual([64 * kibibyte, 1]);
  await later;
});

test('the caller may use its bytes again once `write` has returned', () => {
  const input = new InputWindow();
  const typed = Uint8Array.of(1, 2, 3);
  void input.write(typed);
  typed.fill(9);
  let sent: Uint8Array | undefined;
  input.connect((bytes) => (sent = bytes));
  expect(sent).toEqual(Uint8Array.of(1, 2, 3));
});

test('what waits is given up with the reason, and what comes later is not', async () => {
  const input = new InputWindow();
  const waiting = input.write(new Uint8Array(3));
  input.fail(new CaissonError('TERMINAL_NOT_DRIVING', 'Somebody else drives.'));
  await expect(waiting).rejects.toMatchObject({ code: 'TERMINAL_NOT_DRIVING' });
  const later = input.write(new Uint8Array(2));
  expect(connected(input)).toEqual([2]);
  await later;
});
