import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Confinement } from '../../src/guest/files/confinement.ts';
import { until } from '../until.ts';
import { type RunningGuest, runGuest } from './running-guest.ts';

let running: RunningGuest;
beforeEach(async () => {
  running = await runGuest();
  execFileSync('sh', ['-ec', 'seq 1 2000 | xargs touch'], { cwd: running.roots[0] });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await running[Symbol.asyncDispose]();
});

/** Counts folders that are held: all the while that one is listed. */
function countFolders() {
  const pin = Reflect.get(Confinement.prototype, 'pin');
  const count = { begun: 0, held: 0, most: 0 };
  vi.spyOn(Confinement.prototype, 'pin').mockImplementation(function (this: Confinement, ...args) {
    const pinned = pin.apply(this, args);
    const close = pinned[Symbol.dispose].bind(pinned);
    count.begun += 1;
    count.held += 1;
    count.most = Math.max(count.most, count.held);
    pinned[Symbol.dispose] = () => {
      count.held -= 1;
      close();
    };
    return pinned;
  });
  return count;
}

test('of listings that are asked for and dropped two are at work, and health is answered between them', async () => {
  const client = await running.client();
  const count = countFolders();
  const folder = Buffer.from(running.roots[0]);
  const gone = new AbortController();
  const options = { recursive: false, limit: 5_000, signal: gone.signal };
  const asked = Array.from({ length: 200 }, () => client.files.list(folder, options));
  const settled = Promise.allSettled(asked);
  await until('one has begun', () => count.begun > 0);
  await client.health();
  expect(count.begun).toBeLessThan(200);
  gone.abort(new Error('gone'));
  await settled;
  await client.health(); // behind the resets: the guest has heard of them
  const { begun } = count;
  await until('those at work have ended', () => count.held === 0);
  expect(count).toMatchObject({ begun, most: 2 });
  expect((await client.files.list(folder, { recursive: false, limit: 5_000 })).entries).toHaveLength(2_000);
});
