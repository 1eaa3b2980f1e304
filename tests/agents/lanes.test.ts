import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Lanes } from '../../src/agents/lanes.ts';

interface Observed {
  readonly started: string[];
  readonly running: Map<string, number>;
  most: number;
  mostInLane: number;
}

function observe(lanes: Lanes<string>, tasks: readonly { lane: string; fails: boolean }[], scheduler: fc.Scheduler) {
  const observed: Observed = { started: [], running: new Map(), most: 0, mostInLane: 0 };
  const done = tasks.map(({ lane, fails }, index) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    lanes.submit(lane, async () => {
      observed.started.push(`${lane}:${index}`);
      observed.running.set(lane, (observed.running.get(lane) ?? 0) + 1);
      observed.mostInLane = Math.max(observed.mostInLane, observed.running.get(lane) ?? 0);
      observed.most = Math.max(
        observed.most,
        [...observed.running.values()].reduce((sum, n) => sum + n, 0),
      );
      await scheduler.schedule(Promise.resolve());
      observed.running.set(lane, (observed.running.get(lane) ?? 0) - 1);
      resolve();
      if (fails) throw new Error('this task fails');
    });
    return promise;
  });
  return { observed, done: Promise.all(done) };
}

const tasksArbitrary = fc.array(fc.record({ lane: fc.constantFrom('a', 'b', 'c', 'd'), fails: fc.boolean() }), {
  maxLength: 40,
});

test('every task runs once, in the order of its lane, one at a time in a lane, and never more than the limit', async () => {
  await fc.assert(
    fc.asyncProperty(
      tasksArbitrary,
      fc.integer({ min: 1, max: 5 }),
      fc.scheduler(),
      async (tasks, limit, scheduler) => {
        const { observed, done } = observe(new Lanes(limit), tasks, scheduler);
        await scheduler.waitFor(done);
        expect(observed.started.toSorted()).toEqual(tasks.map(({ lane }, index) => `${lane}:${index}`).toSorted());
        for (const lane of ['a', 'b', 'c', 'd']) {
          const order = observed.started.filter((name) => name.startsWith(lane)).map((name) => Number(name.slice(2)));
          expect(order).toEqual(order.toSorted((left, right) => left - right));
        }
        expect(observed.mostInLane).toBeLessThanOrEqual(1);
        expect(observed.most).toBeLessThanOrEqual(limit);
      },
    ),
  );
});

test('a lane that fails does not stall the lanes that wait for its place', async () => {
  const lanes = new Lanes<string>(1);
  const order: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  lanes.submit('a', async () => {
    order.push('a');
    await Promise.reject(new Error('this task fails'));
  });
  lanes.submit('b', async () => {
    order.push('b');
    await Promise.resolve();
    resolve();
  });
  await promise;
  expect(order).toEqual(['a', 'b']);
});

test('lanes take turns: a lane with many tasks does not keep the others waiting', async () => {
  const lanes = new Lanes<string>(1);
  const order: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const task =
    (name: string, last = false) =>
    async () => {
      order.push(name);
      await Promise.resolve();
      if (last) resolve();
    };
  lanes.submit('busy', task('busy 1'));
  lanes.submit('busy', task('busy 2'));
  lanes.submit('busy', task('busy 3', true));
  lanes.submit('other', task('other'));
  await promise;
  expect(order).toEqual(['busy 1', 'other', 'busy 2', 'busy 3']);
});
