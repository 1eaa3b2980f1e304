import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { InputRelay } from '../../../src/controlplane/workspace/input-relay.ts';

/** An input that takes a write when the test says so. */
function slowInput() {
  const writes: Buffer[] = [];
  let done: (() => void) | undefined;
  const stdin = new Writable({
    highWaterMark: 1,
    write(chunk: Buffer, _encoding, callback) {
      writes.push(chunk);
      done = callback;
    },
  });
  return {
    stdin,
    writes,
    take: async (): Promise<void> => {
      done?.();
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test('what comes before the process, and while it takes none, is kept together and in order', async () => {
  const taken: number[] = [];
  const relay = new InputRelay((bytes) => taken.push(bytes));
  const { stdin, writes, take } = slowInput();
  relay.write(Buffer.from('ear'));
  relay.write(Buffer.from('ly '));
  relay.begin(stdin);
  for (let i = 0; i < 100_000; i++) relay.write(Buffer.from(String(i % 10)));
  relay.end();
  await take();
  await take();
  expect(writes.map(String)).toEqual(['early ', '0123456789'.repeat(10_000)]);
  expect(taken).toEqual([6, 100_000]);
  expect(stdin.writableEnded).toBe(true);
});

test('messages that hold nothing are nothing', async () => {
  const relay = new InputRelay(() => undefined);
  const { stdin, writes, take } = slowInput();
  relay.begin(stdin);
  for (let i = 0; i < 1_000; i++) relay.write(Buffer.alloc(0));
  expect(writes).toEqual([]);
  relay.write(Buffer.from('x'));
  await take();
  expect(writes.map(String)).toEqual(['x']);
});

test('what comes after the end, or when nobody reads any more, counts as taken', () => {
  const taken: number[] = [];
  const relay = new InputRelay((bytes) => taken.push(bytes));
  relay.end();
  relay.write(Buffer.from('late'));
  const gone = new InputRelay((bytes) => taken.push(bytes));
  gone.begin(new Writable().destroy());
  gone.write(Buffer.from('gone'));
  gone.end();
  expect(taken).toEqual([4, 4]);
});
