import { readdirSync, readlinkSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../../until.ts';
import { runGuest } from '../running-guest.ts';

/** Of this process, which the guest is in: the files that it holds open though they have no name any more. */
function heldWithoutName(root: string): readonly string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(root) && path.endsWith(' (deleted)') ? [path] : [];
    } catch {
      return []; // that of the listing itself
    }
  });
}

test('files that were replaced are given up, however many at once', async () => {
  await using guest = await runGuest();
  const client = await guest.client();
  const [workspace] = guest.roots;
  const content = Buffer.alloc(1_024, 'x');
  const write = (at: number) => client.files.write(Buffer.from(`file-${at % 100}`), content);
  const written = await Promise.all(Array.from({ length: 1_000 }, (_, at) => write(at)));
  expect(written.filter(({ created }) => created)).toHaveLength(100);
  await until('no replaced file is held', () => heldWithoutName(workspace).length === 0);
});

test('a large file that is replaced has given its space back when the answer comes', async () => {
  await using guest = await runGuest();
  const client = await guest.client();
  const [workspace] = guest.roots;
  await writeFile(join(workspace, 'large'), Buffer.alloc(1024 * 1024, 'x'));
  await client.files.write(Buffer.from('large'), Buffer.from('small'));
  expect(heldWithoutName(workspace)).toEqual([]);
});
