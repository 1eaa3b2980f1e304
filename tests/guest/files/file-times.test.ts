import { execFileSync } from 'node:child_process';
import { lutimes, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { maxTimeMs } from '../../../src/wire/contract/files.ts';
import { type FilesClient, wholeOf } from '../../../src/wire/files-client.ts';
import { type RunningGuest, runGuest } from '../running-guest.ts';

/** A file system in memory, which takes any time and needs root. */
let disk: string;
let guest: RunningGuest;
let files: FilesClient;
beforeAll(async () => {
  guest = await runGuest();
  files = (await guest.client()).files;
  disk = guest.roots[2];
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'caisson-test', disk]);
});
afterAll(async () => {
  execFileSync('umount', [disk]);
  await guest[Symbol.asyncDispose]();
});

/** Seconds since 1970. */
const times = [-1, -(2 ** 31), 2 ** 39];

test.for(times)(
  'a zip archive of what is from %d s is whole, and the guest lives: yazl throws in a callback for times before 1970',
  async (seconds) => {
    const folder = join(disk, `zip${seconds}`);
    await mkdir(join(folder, 'folder'), { recursive: true });
    await writeFile(join(folder, 'file'), 'x');
    await symlink('file', join(folder, 'link'));
    const time = new Date(seconds * 1_000); // Node takes a negative number for now
    for (const name of ['file', 'link', 'folder']) await lutimes(join(folder, name), time, time);
    const stream = await files.openArchive(Buffer.from(folder), 'zip');
    const archive = await buffer(wholeOf(stream, undefined));
    expect(archive.toString('latin1').split('PK\x01\x02')).toHaveLength(1 + 3);
    expect(archive.subarray(-22, -18).toString('latin1')).toBe('PK\x05\x06');
    await expect(files.stat(Buffer.from(folder))).resolves.toMatchObject({ type: 'directory' });
  },
);

test('a time that no date holds is told as the last one, and does not hide its folder', async () => {
  const folder = join(disk, 'absurd');
  await mkdir(folder);
  for (const seconds of ['99999999999999', '-99999999999999']) {
    execFileSync('touch', ['-d', `@${seconds}`, join(folder, `at${seconds}`)]);
  }
  const list = { recursive: true, limit: 100 };
  const { entries } = await files.list(Buffer.from(disk), list);
  const times = entries.filter(({ path }) => path.startsWith(`${folder}/`)).map(({ modifiedAt }) => modifiedAt);
  expect(times).toEqual([-maxTimeMs, maxTimeMs]);
  expect(times.map((time) => new Date(time).toUTCString())).not.toContain('Invalid Date');
  const { file } = await files.write(Buffer.from(join(folder, 'at99999999999999')), Buffer.from('x'));
  expect(file.modifiedAt).toBeLessThan(maxTimeMs);
  await expect(files.open(Buffer.from(join(folder, 'at-99999999999999')))).resolves.toMatchObject({ status: 200 });
  for (const format of ['tar', 'zip'] as const) {
    const stream = await files.openArchive(Buffer.from(folder), format);
    expect((await buffer(wholeOf(stream, undefined))).length).toBeGreaterThan(0);
  }
  const copy = { from: folder, to: join(disk, 'copy'), overwrite: false };
  await expect(files.copy(copy)).resolves.toMatchObject({ type: 'directory' });
});
