import { expect, test } from 'vitest';
import { ByteCredit } from '../../../src/controlplane/workspace/byte-credit.ts';

test('the window may be overrun once, then it is waited for', async () => {
  const credit = new ByteCredit(10, new AbortController().signal);
  await credit.take(15);
  let hasTaken = false;
  const waiting = credit.take(1).then(() => (hasTaken = true));
  credit.give(5);
  await Promise.resolve();
  expect(hasTaken).toBe(false);
  credit.give(6);
  await waiting;
});

test('whoever waits is let go when nobody takes any more', async () => {
  const gone = new AbortController();
  const credit = new ByteCredit(1, gone.signal);
  await credit.take(1);
  const waiting = credit.take(1);
  gone.abort(new Error('the socket is closed'));
  await expect(waiting).rejects.toThrow('the socket is closed');
  await expect(credit.take(1)).rejects.toThrow('the socket is closed');
});

test.each([
  ['more than was sent', 5],
  ['less than before', 1],
])('it cannot have taken %s', async (_what, taken) => {
  const credit = new ByteCredit(10, new AbortController().signal);
  await credit.take(4);
  credit.give(2);
  expect(() => credit.give(taken)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }));
});
