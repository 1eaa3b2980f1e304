import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KeyedQueue } from '../../src/kernel/keyed-queue.ts';

describe('a keyed queue', () => {
  test('runs tasks of one key one at a time and in order, and those of different keys side by side', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.constantFrom('a', 'b'), { maxLength: 12 }),
        async (scheduler, keys) => {
          const queue = new KeyedQueue<string>();
          const running = new Set<string>();
          const finished: [string, number][] = [];
          const tasks = keys.map((key, index) =>
            queue.run(key, async () => {
              expect(running.has(key)).toBe(false);
              running.add(key);
              await scheduler.schedule(Promise.resolve(), `${key}${index}`);
              running.delete(key);
              finished.push([key, index]);
            }),
          );
          await scheduler.waitFor(Promise.all(tasks));
          for (const key of ['a', 'b']) {
            const order = finished.filter(([each]) => each === key).map(([, index]) => index);
            expect(order).toEqual(order.toSorted((left, right) => left - right));
          }
          expect(finished).toHaveLength(keys.length);
        },
      ),
    );
  });

  test('goes on after a task that failed', async () => {
    const queue = new KeyedQueue<string>();
    const failing = queue.run('a', () => Promise.reject(new Error('failed')));
    const next = queue.run('a', () => Promise.resolve('done'));
    await expect(failing).rejects.toThrow('failed');
    expect(await next).toBe('done');
  });

  test('lets a waiting caller go, never starts its task, and keeps those behind it waiting', async () => {
    const queue = new KeyedQueue<string>();
    const gate = Promise.withResolvers<string>();
    const abort = new AbortController();
    const started: string[] = [];
    const first = queue.run('a', () => gate.promise);
    const second = queue.run('a', async () => started.push('second'), abort.signal);
    const third = queue.run('a', async () => started.push('third'));
    abort.abort(new Error('given up'));
    await expect(second).rejects.toThrow('given up');
    expect(started).toEqual([]);
    gate.resolve('first');
    await Promise.all([first, third]);
    expect(started).toEqual(['third']);
  });
});
