import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { maxTrustBytes, trustFiles } from '../../../src/wire/contract/egress.ts';
import { testAuthority } from '../../doubles/internet/certificates.ts';
import { runGuest } from '../running-guest.ts';

test('the bundle is there from the start, and holds the extra authorities once they are told, until they are others', async () => {
  await using running = await runGuest();
  const file = (name: 'bundle' | 'extra'): string => join(running.runDirectory, trustFiles[name]);
  const before = await readFile(file('bundle'), 'utf8');
  expect(await readFile(file('extra'), 'utf8')).toBe('');
  const client = await running.client();
  await client.trust(testAuthority);
  expect(await readFile(file('extra'), 'utf8')).toBe(testAuthority);
  const bundle = await readFile(file('bundle'), 'utf8');
  expect([bundle.startsWith(before), bundle.includes(testAuthority)]).toEqual([true, true]);
  const { mtimeMs } = await stat(file('bundle'));
  await client.trust(testAuthority);
  expect((await stat(file('bundle'))).mtimeMs).toBe(mtimeMs);
  await client.trust('');
  expect(await readFile(file('bundle'), 'utf8')).not.toContain(testAuthority);
});

test('more than fits into the run directory is refused', async () => {
  await using running = await runGuest();
  const client = await running.client();
  await expect(client.trust('x'.repeat(maxTrustBytes + 1))).rejects.toMatchObject({ code: 'BAD_REQUEST' });
});
