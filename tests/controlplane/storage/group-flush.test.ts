import { expect, test } from 'vitest';
import { GroupFlush } from '../../../src/controlplane/storage/group-flush.ts';

/** Flushes that end when they are told to. */
function handFlush() {
  const under: PromiseWithResolvers<void>[] = [];
  const disk = new GroupFlush(() => {
    const flush = Promise.withResolvers<void>();
    under.push(flush);
    return flush.promise;
  });
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return { disk, under, turn };
}

test('those that come while a flush is under way share the next one, which begins after it', async () => {
  const { disk, under, turn } = handFlush();
  const ended: string[] = [];
  const first = disk.flushed().then(() => ended.push('first'));
  await turn();
  const others = ['second', 'third'].map((name) => disk.flushed().then(() => ended.push(name)));
  await turn();
  expect(under).toHaveLength(1);
  under[0]?.resolve();
  await first;
  await turn();
  expect(ended).toEqual(['first']);
  expect(under).toHaveLength(2);
  under[1]?.resolve();
  await Promise.all(others);
  expect(ended).toEqual(['first', 'second', 'third']);
  expect(under).toHaveLength(2);
});

test('after a failure no flush is promised any more', async () => {
  const { disk, under, turn } = handFlush();
  const failure = new Error('the disk is gone');
  const first = disk.flushed();
  await turn();
  const second = disk.flushed();
  under[0]?.reject(failure);
  await expect(first).rejects.toBe(failure);
  await expect(second).rejects.toBe(failure);
  await expect(disk.flushed()).rejects.toBe(failure);
  expect(under).toHaveLength(1);
});
