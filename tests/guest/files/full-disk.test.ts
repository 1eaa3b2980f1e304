import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { encodeTarHeader } from '../../../src/kernel/tar-encode.ts';
import { tarEnd } from '../../../src/kernel/tar-entry.ts';
import type { FilesClient } from '../../../src/wire/files-client.ts';
import { type RunningGuest, runGuest } from '../running-guest.ts';

/** A disk of 2 MiB: a file system in memory, which needs root. */
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
afterEach(async () => {
  for (const name of await readdir(disk)) await rm(join(disk, name), { recursive: true });
});

const full = { code: 'DISK_FULL' };
const bytes = (path: string): Buffer => Buffer.from(path);
const large = Buffer.alloc(4 * 1024 * 1024, 'x');

test('a file that does not fit is DISK_FULL, and leaves the old one and nothing else', async () => {
  await writeFile(join(disk, 'f'), 'old');
  await writeFile(join(disk, 'half'), Buffer.alloc(1_500_000));
  await expect(files.write(bytes(`${disk}/f`), large.subarray(0, 1_000_000))).rejects.toMatchObject(full);
  await expect(files.write(bytes(`${disk}/new`), large.subarray(0, 1_000_000))).rejects.toMatchObject(full);
  expect((await readdir(disk)).sort()).toEqual(['f', 'half']);
  expect(await readFile(join(disk, 'f'), 'utf8')).toBe('old');
});

test('an upload that does not fit is DISK_FULL, and leaves the old file and nothing else', async () => {
  await writeFile(join(disk, 'f'), 'old');
  for (const length of [large.length, undefined]) {
    const { body, answer } = files.put(bytes(`${disk}/f`), { length });
    body.on('error', () => undefined);
    body.end(large);
    await expect(answer).rejects.toMatchObject(full);
  }
  expect(await readdir(disk)).toEqual(['f']);
  expect(await readFile(join(disk, 'f'), 'utf8')).toBe('old');
  await files.write(bytes(`${disk}/f`), bytes('and there is room for others'));
});

test('appending to what does not fit is DISK_FULL', async () => {
  await writeFile(join(disk, 'f'), Buffer.alloc(1_500_000));
  await expect(files.write(bytes(`${disk}/f`), large.subarray(0, 1_000_000), { append: true })).rejects.toMatchObject(
    full,
  );
});

test('a copy that does not fit is DISK_FULL, and half of it is not left; so is a move from another disk', async () => {
  const source = join(guest.roots[0], 'source');
  await mkdir(join(source, 'deep'), { recursive: true });
  await writeFile(join(source, 'a'), 'small');
  await writeFile(join(source, 'deep/large'), large);
  for (const transfer of [files.copy.bind(files), files.move.bind(files)]) {
    await expect(transfer({ from: source, to: `${disk}/target`, overwrite: false })).rejects.toMatchObject(full);
    expect(await readdir(disk)).toEqual([]);
    expect((await readFile(join(source, 'deep/large'))).length).toBe(large.length);
  }
});

test('an archive that does not fit is DISK_FULL, and leaves nothing', async () => {
  const about = { mode: 0o644, modifiedAt: 0, target: null, type: 'file' } as const;
  const entry = (name: string, content: Buffer): Buffer[] => [
    encodeTarHeader({ ...about, name: bytes(name), size: content.length }),
    content,
    Buffer.alloc((512 - (content.length % 512)) % 512),
  ];
  const { body, answer } = files.unpack(bytes(`${disk}/into`));
  body.on('error', () => undefined);
  body.end(Buffer.concat([...entry('a', bytes('x')), ...entry('large', large), tarEnd]));
  await expect(answer).rejects.toMatchObject(full);
  expect(await readdir(join(disk, 'into'))).toEqual([]);
});

test('a folder for which there is no room is DISK_FULL', async () => {
  execFileSync('mount', ['-o', 'remount,size=2m,nr_inodes=4', disk]);
  try {
    await files.makeFolder({ path: `${disk}/a`, parents: false });
    const many = (async () => {
      for (let at = 0; at < 8; at++) await files.makeFolder({ path: `${disk}/d${at}`, parents: false });
    })();
    await expect(many).rejects.toMatchObject(full);
  } finally {
    execFileSync('mount', ['-o', 'remount,size=2m,nr_inodes=1000', disk]);
  }
});
