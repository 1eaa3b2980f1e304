import { expect, test } from 'vitest';
import { Outward } from '../../src/guest/outward.ts';

const never = new AbortController().signal;

test('no more requests wait than the bound, and the one above it is refused at once', async () => {
  const outward = new Outward({ maxWaiting: 2, maxWaitMs: 60_000 });
  const controller = new AbortController();
  const waiting = [outward.session(controller.signal), outward.session(controller.signal)];
  await expect(outward.session(never)).rejects.toMatchObject({ code: 'WIRE_LOST' });
  const reason = new Error('gone');
  controller.abort(reason);
  for (const each of await Promise.allSettled(waiting)) expect(each).toMatchObject({ reason });
  const next = new AbortController();
  const again = outward.session(next.signal); // there is room again
  next.abort(reason);
  await expect(again).rejects.toBe(reason);
});

test('a request waits for its time and no longer', async () => {
  const outward = new Outward({ maxWaitMs: 5 });
  await expect(outward.session(never)).rejects.toMatchObject({ code: 'WIRE_LOST' });
});
