import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Lanes } from '../../src/agents/lanes.ts';

interface Observed {
  readonly started: string[];
  readonly running: Map<string, number>;
  most: number;
  mostInLane: number;
}

/** In these tests, unless they say otherwise, a lane `ab` is the lane `b` of the owner `a`. */
const laneOf = (key: string) => ({ key, owner: key.slice(0, 1) });

function observe(
  lanes: Lanes<string, string>,
  tasks: readonly { lane: string; fails: boolean }[],
  scheduler: fc.Scheduler,
) {
  const observed: Observed = { started: [], running: new Map(), most: 0, mostInLane: 0 };
  const done = tasks.map(({ lane, fails }, index) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    lanes.submit(laneOf(lane), async () => {
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

const tasksArbitrary = fc.array(fc.record({ lane: fc.constantFrom('aa', 'ab', 'ba', 'bb'), fails: fc.boolean() }), {
  maxLength: 40,
});

test('every task runs once, in the order of its lane, one at a time in a lane, and never more than the limit', async () => {
  await fc.assert(
    fc.asyncProperty(
      tasksArbitrary,
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 5 }),
      fc.scheduler(),
      async (tasks, total, perOwner, scheduler) => {
        const { observed, done } = observe(new Lanes({ total, perOwner }), tasks, scheduler);
        await scheduler.waitFor(done);
        expect(observed.started.toSorted()).toEqual(tasks.map(({ lane }, index) => `${lane}:${index}`).toSorted());
        for (const lane of ['aa', 'ab', 'ba', 'bb']) {
          const order = observed.started.filter((name) => name.startsWith(lane)).map((name) => Number(name.slice(3)));
          expect(order).toEqual(order.toSorted((left, right) => left - right));
        }
        expect(observed.mostInLane).toBeLessThanOrEqual(1);
        expect(observed.most).toBeLessThanOrEqual(total);
      },
    ),
  );
});

test('a lane that fails does not stall the lanes that wait for its place', async () => {
  const lanes = new Lanes<string, string>({ total: 1, perOwner: 1 });
  const order: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  lanes.submit(laneOf('a'), async () => {
    order.push('a');
    await Promise.reject(new Error('this task fails'));
  });
  lanes.submit(laneOf('b'), async () => {
    order.push('b');
    await Promise.resolve();
    resolve();
  });
  await promise;
  expect(order).toEqual(['a', 'b']);
});

test('lanes take turns: a lane with many tasks does not keep the others waiting', async () => {
  const lanes = new Lanes<string, string>({ total: 1, perOwner: 1 });
  const order: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const task =
    (name: string, last = false) =>
    async () => {
      order.push(name);
      await Promise.resolve();
      if (last) resolve();
    };
  lanes.submit({ key: 'busy', owner: 'one' }, task('busy 1'));
  lanes.submit({ key: 'busy', owner: 'one' }, task('busy 2'));
  lanes.submit({ key: 'busy', owner: 'one' }, task('busy 3', true));
  lanes.submit({ key: 'other', owner: 'one' }, task('other'));
  await promise;
  expect(order).toEqual(['busy 1', 'other', 'busy 2', 'busy 3']);
});

/** Lanes whose tasks end when the test says so, and what an observer knows of them when everything has come to rest. */
class HeldLanes {
  readonly started: string[] = [];
  readonly running: { readonly lane: string; readonly end: () => void }[] = [];
  readonly #lanes: Lanes<string, string>;
  readonly #left = new Map<string, number>();

  constructor(limits: { readonly total: number; readonly perOwner: number }) {
    this.#lanes = new Lanes(limits);
  }

  async submit(lane: string): Promise<void> {
    this.#left.set(lane, (this.#left.get(lane) ?? 0) + 1);
    this.#lanes.submit(laneOf(lane), async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.started.push(lane);
      this.running.push({ lane, end: resolve });
      await promise;
    });
    await rest();
  }

  async end(index: number): Promise<void> {
    const [task] = this.running.splice(index % Math.max(1, this.running.length), 1);
    if (task === undefined) return;
    this.#left.set(task.lane, (this.#left.get(task.lane) ?? 0) - 1);
    task.end();
    await rest();
  }

  runningOf(owner: string): number {
    return this.running.filter(({ lane }) => laneOf(lane).owner === owner).length;
  }

  /** Whether a lane of the owner has a task to run and none that runs. */
  hasWaiting(owner: string): boolean {
    const busy = new Set(this.running.map(({ lane }) => lane));
    return [...this.#left].some(([lane, left]) => laneOf(lane).owner === owner && left > 0 && !busy.has(lane));
  }
}

const rest = () => new Promise(setImmediate);

const owners = ['a', 'b', 'c'];
const stepsArbitrary = fc.array(
  fc.oneof(
    fc.record({ lane: fc.constantFrom(...owners.flatMap((owner) => ['1', '2', '3'].map((lane) => owner + lane))) }),
    fc.record({ end: fc.nat(20) }),
  ),
  { maxLength: 60 },
);

test('no owner holds more than its share, and no place stays free that an owner may have', async () => {
  await fc.assert(
    fc.asyncProperty(
      stepsArbitrary,
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 5 }),
      async (steps, total, perOwner) => {
        const held = new HeldLanes({ total, perOwner });
        for (const step of steps) {
          await ('lane' in step ? held.submit(step.lane) : held.end(step.end));
          expect(held.running.length).toBeLessThanOrEqual(total);
          for (const owner of owners) {
            expect(held.runningOf(owner)).toBeLessThanOrEqual(perOwner);
            const mayHaveOne = held.hasWaiting(owner) && held.runningOf(owner) < perOwner;
            if (mayHaveOne) expect(held.running).toHaveLength(total);
          }
        }
      },
    ),
  );
});

test('owners take turns: while one waits that may have a place, no other gets two', async () => {
  await fc.assert(
    fc.asyncProperty(
      stepsArbitrary,
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 3 }),
      async (steps, total, perOwner) => {
        const held = new HeldLanes({ total, perOwner });
        /** For each owner that waits and may have a place: who was given one since. */
        const passedBy = new Map<string, string[]>();
        for (const step of steps) {
          const before = held.started.length;
          await ('lane' in step ? held.submit(step.lane) : held.end(step.end));
          const given = held.started.slice(before).map((lane) => laneOf(lane).owner);
          for (const owner of owners) {
            const mayHaveOne = held.hasWaiting(owner) && held.runningOf(owner) < perOwner;
            const others = [...(passedBy.get(owner) ?? []), ...given];
            if (!mayHaveOne || given.includes(owner)) passedBy.delete(owner);
            else if (passedBy.has(owner)) {
              expect(new Set(others).size).toBe(others.length);
              passedBy.set(owner, others);
            } else passedBy.set(owner, []);
          }
        }
      },
    ),
  );
});

test('an owner whose runs never end does not keep the others waiting', async () => {
  const held = new HeldLanes({ total: 4, perOwner: 2 });
  for (const lane of ['a1', 'a2', 'a3', 'a4', 'b1']) await held.submit(lane);
  expect(held.started).toEqual(['a1', 'a2', 'b1']);
  await held.submit('c1');
  expect(held.started).toEqual(['a1', 'a2', 'b1', 'c1']);
});

test('a task that is parked gives its place to another, keeps its lane, and is called again in turn', async () => {
  const lanes = new Lanes<string, string>({ total: 1, perOwner: 1 });
  const order: string[] = [];
  const { promise: until, resolve: call } = Promise.withResolvers<void>();
  const all = Promise.withResolvers<void>();
  let isParked = false;
  lanes.submit(laneOf('aa'), async () => {
    order.push(isParked ? 'aa again' : 'aa');
    if (isParked) return undefined;
    isParked = true;
    return { until };
  });
  lanes.submit(laneOf('aa'), async () => {
    order.push('behind it');
    all.resolve();
  });
  lanes.submit(laneOf('ab'), async () => {
    order.push('ab');
    call();
  });
  await all.promise;
  expect(order).toEqual(['aa', 'ab', 'aa again', 'behind it']);
});
