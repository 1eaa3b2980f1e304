import { expect, test } from 'vitest';
import { GroupFlush } from '../../../src/controlplane/storage/group-flush.ts';
import { until } from '../../until.ts';

/** Flushes that end when they are told to. */
function handFlush() {
  const flushes: PromiseWithResolvers<void>[] = [];
  const disk = new GroupFlush(() => {
    const flush = Promise.withResolvers<void>();
    flushes.push(flush);
    return flush.promise;
  });
  /** The flush of that number, once it is under way. */
  const begun = (number: number): Promise<PromiseWithResolvers<void>> =>
    until(`flush ${number}`, () => flushes[number - 1]);
  return { disk, flushes, begun };
}

test('those that come in one turn of the event loop share a flush', async () => {
  const { disk, flushes, begun } = handFlush();
  const together = [disk.flushed(), Promise.resolve().then(() => disk.flushed())];
  (await begun(1)).resolve();
  await Promise.all(together);
  expect(flushes).toHaveLength(1);
});

test('those that come while a flush is under way share the next one, which begins after it', async () => {
  const { disk, flushes, begun } = handFlush();
  const ended: string[] = [];
  const first = disk.flushed().then(() => ended.push('first'));
  const firstFlush = await begun(1);
  const others = ['second', 'third'].map((name) => disk.flushed().then(() => ended.push(name)));
  firstFlush.resolve();
  await first;
  const secondFlush = await begun(2);
  expect(ended).toEqual(['first']);
  secondFlush.resolve();
  await Promise.all(others);
  expect(ended).toEqual(['first', 'second', 'third']);
  expect(flushes).toHaveLength(2);
});

test('after a failure no flush is promised any more', async () => {
  const { disk, flushes, begun } = handFlush();
  const failure = new Error('the disk is gone');
  const first = disk.flushed();
  const firstFlush = await begun(1);
  const second = disk.flushed();
  firstFlush.reject(failure);
  const refused = { code: 'STORAGE_UNAVAILABLE', cause: failure };
  await expect(first).rejects.toMatchObject(refused);
  await expect(second).rejects.toMatchObject(refused);
  await expect(disk.flushed()).rejects.toMatchObject(refused);
  await expect(disk.failed).resolves.toMatchObject(refused);
  expect(flushes).toHaveLength(1);
});
