import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeTarHeader } from '../../../src/kernel/tar-encode.ts';
import { until } from '../../until.ts';
import { type RunningGuest, runGuest } from '../running-guest.ts';

let guest: RunningGuest;
beforeEach(async () => {
  guest = await runGuest();
});
afterEach(() => guest[Symbol.asyncDispose]());

test('a folder removed while an archive is unpacked into it is FILE_NOT_FOUND: its half file is gone as well', async () => {
  const folder = join(guest.roots[0], 'd');
  const { body, answer } = (await guest.client()).files.unpack(Buffer.from(folder));
  const file = { type: 'file', target: null, mode: 0o644, modifiedAt: 0, name: Buffer.from('f') } as const;
  body.write(encodeTarHeader({ ...file, size: 1_000 }));
  body.write(Buffer.alloc(500));
  await until('the file begins', async () => existsSync(folder) && (await readdir(folder)).length === 1);
  await rm(folder, { recursive: true });
  body.end(Buffer.alloc(500 + 24 + 1_024));
  await expect(answer).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
});
