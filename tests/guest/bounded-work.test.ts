import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { BoundedWork } from '../../src/guest/bounded-work.ts';
import { until } from '../until.ts';

const never = new AbortController().signal;

/** Work that goes on until it is told to end. */
function endless() {
  const { promise, resolve: end } = Promise.withResolvers<void>();
  const state = { begun: 0 };
  const work = async (): Promise<void> => {
    state.begun += 1;
    await promise;
  };
  return { state, work, end };
}

test('few are under way, the others wait in their order, and what is more is refused', async () => {
  const bounded = new BoundedWork({ name: 'walks', running: 2, waiting: 3 });
  const order: number[] = [];
  const works = [0, 1, 2, 3, 4].map((at) => {
    const { work, end } = endless();
    const done = bounded.run(async () => {
      order.push(at);
      await work();
    }, never);
    return { done, end };
  });
  await expect(bounded.run(async () => undefined, never)).rejects.toMatchObject({
    code: 'LIMIT_REACHED',
    message: '5 walks are under way.',
  });
  for (const [at, { done, end }] of works.entries()) {
    const begun = [0, 1, 2, 3, 4].slice(0, at + 2);
    await until('there are two at work', () => order.length === begun.length);
    await nextTurn();
    expect(order).toEqual(begun);
    end();
    await done;
  }
  expect(await bounded.run(async () => 'room again', never)).toBe('room again');
});

test('whoever gives up leaves the queue at once, and its work never begins', async () => {
  const bounded = new BoundedWork({ name: 'walks', running: 1, waiting: 1 });
  const first = endless();
  const done = bounded.run(first.work, never);
  const dropped = endless();
  for (let each = 0; each < 100; each++) {
    const gone = new AbortController();
    const asked = bounded.run(dropped.work, gone.signal);
    gone.abort(new Error('gone'));
    await expect(asked).rejects.toThrow('gone');
  }
  const last = bounded.run(async () => 'in its turn', never);
  first.end();
  await done;
  expect(await last).toBe('in its turn');
  expect(dropped.state.begun).toBe(0);
});

test('what is given up in the turn in which it has its place does not begin, and gives it on', async () => {
  const bounded = new BoundedWork({ name: 'walks', running: 1 });
  const gone = new AbortController();
  const { work, state } = endless();
  const asked = bounded.run(work, gone.signal);
  gone.abort(new Error('gone'));
  await expect(asked).rejects.toThrow('gone');
  await expect(bounded.run(work, gone.signal)).rejects.toThrow('gone');
  expect(state.begun).toBe(0);
  expect(await bounded.run(async () => 'room', never)).toBe('room');
});

test('nothing begins before what has arrived by then is heard, such as that its caller has gone', async () => {
  const bounded = new BoundedWork({ name: 'walks', running: 1 });
  const gone = new AbortController();
  setImmediate(() => gone.abort(new Error('gone')));
  await expect(bounded.run(async () => 'begun', gone.signal)).rejects.toThrow('gone');
});

test('work that fails gives its place on', async () => {
  const bounded = new BoundedWork({ name: 'walks', running: 1, waiting: 1 });
  const failed = bounded.run(() => Promise.reject(new Error('broken')), never);
  const next = bounded.run(async () => 'next', never);
  await expect(failed).rejects.toThrow('broken');
  expect(await next).toBe('next');
});
