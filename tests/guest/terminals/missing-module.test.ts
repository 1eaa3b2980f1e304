import { expect, test, vi } from 'vitest';
import { runGuest } from '../running-guest.ts';

vi.mock('@lydell/node-pty', () => {
  throw new Error("Cannot find package '@lydell/node-pty'");
});

test('a guest whose image lacks the native module says so, and how to get it', async () => {
  await using running = await runGuest();
  const guest = await running.client();
  await expect(guest.terminals.open({})).rejects.toMatchObject({
    code: 'CAPABILITY_UNSUPPORTED',
    hint: expect.stringContaining('npm run setup'),
  });
  expect(await guest.terminals.list()).toEqual([]);
});
