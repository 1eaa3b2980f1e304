import { execFileSync } from 'node:child_process';
import { lutimes, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
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
    expect(archive.toString('latin1').match(/PK\x01\x02/g)).toHaveLength(3);
    expect(archive.subarray(-22, -18).toString('latin1')).toBe('PK\x05\x06');
    await expect(files.stat(Buffer.from(folder))).resolves.toMatchObject({ type: 'directory' });
  },
);
