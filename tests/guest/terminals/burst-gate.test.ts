import { expect, test } from 'vitest';
import { BurstGate } from '../../../src/guest/terminals/burst-gate.ts';
import { HandClock } from '../../acp/hand-clock.ts';

function open() {
  const clock = new HandClock();
  let flushes = 0;
  const gate = new BurstGate(clock, () => flushes++);
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return { clock, gate, turn, flushes: () => flushes };
}

test('what is printed in one turn goes out as one, at its end', async () => {
  const { gate, turn, flushes } = open();
  for (let i = 0; i < 100; i++) gate.schedule();
  expect(flushes()).toBe(0);
  await turn();
  expect(flushes()).toBe(1);
});

test('after a burst of 8 there is one flush every 4 ms', async () => {
  const { clock, gate, turn, flushes } = open();
  for (let i = 0; i < 20; i++) {
    gate.schedule();
    await turn();
  }
  expect(flushes()).toBe(8);
  clock.advance(3);
  expect(flushes()).toBe(8);
  clock.advance(1);
  expect(flushes()).toBe(9);
  gate.schedule(); // 4 ms gave one more
  await turn();
  expect(flushes()).toBe(10);
  gate.schedule();
  await turn();
  expect(flushes()).toBe(10);
});

test('a pause gives the burst back, and no more', async () => {
  const { clock, gate, turn, flushes } = open();
  clock.advance(3_600_000);
  for (let i = 0; i < 20; i++) {
    gate.schedule();
    await turn();
  }
  expect(flushes()).toBe(8);
});

test('the answer to a key does not wait behind a burst', async () => {
  const { gate, turn, flushes } = open();
  for (let i = 0; i < 8; i++) {
    gate.schedule();
    await turn();
  }
  gate.favour();
  gate.schedule();
  await turn();
  expect(flushes()).toBe(9);
});
