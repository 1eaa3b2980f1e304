import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { array, assert, asyncProperty, constantFrom } from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeTarHeader } from '../../../src/kernel/tar-encode.ts';
import { tarEnd, type TarEntry } from '../../../src/kernel/tar-entry.ts';
import type { FilesClient } from '../../../src/wire/files-client.ts';
import { type RunningGuest, runGuest } from '../running-guest.ts';

let guest: RunningGuest;
let files: FilesClient;
let outside: string;
let root: string;
beforeAll(async () => {
  guest = await runGuest();
  files = (await guest.client()).files;
  root = guest.roots[0];
  outside = await mkdtemp(join(tmpdir(), 'caisson-outside-'));
  await writeFile(join(outside, 'secret'), 'secret');
  await mkdir(join(outside, 'folder'));
  await symlink(outside, join(root, 'out'));
  await symlink(join(outside, 'secret'), join(root, 'out-file'));
  await symlink('/proc/self/fd', join(root, 'fds'));
  await symlink('/proc/self/root/etc/passwd', join(root, 'proc-root'));
  await symlink('../../../../../../../../etc/passwd', join(root, 'up'));
  await symlink('loop', join(root, 'loop'));
  await symlink('/dev/zero', join(root, 'zero'));
  await mkdir(join(root, 'inside'));
  execFileSync('mkfifo', [join(root, 'pipe')]);
});
afterAll(async () => {
  await guest[Symbol.asyncDispose]();
  await rm(outside, { recursive: true, force: true });
});

/** The kernel may say what is wrong with it before it is known to lie outside. */
const outOrNot = expect.stringMatching(/^(PATH_FORBIDDEN|NOT_A_DIRECTORY|FILE_NOT_FOUND)$/) as unknown;

/** Each path, and what everything that is asked with it must answer. */
const hostile: readonly (readonly [path: string, code: unknown])[] = [
  ['../secret', 'PATH_FORBIDDEN'],
  ['inside/../../x', 'PATH_FORBIDDEN'],
  ['inside/..', 'PATH_FORBIDDEN'],
  ['..', 'PATH_FORBIDDEN'],
  ['/', 'PATH_FORBIDDEN'],
  ['//', 'PATH_FORBIDDEN'],
  ['/etc/passwd', 'PATH_FORBIDDEN'],
  ['/proc/self/environ', 'PATH_FORBIDDEN'],
  ['/proc/self/fd/0', 'PATH_FORBIDDEN'],
  ['/dev/zero', 'PATH_FORBIDDEN'],
  ['out/secret', outOrNot],
  ['out/new', outOrNot],
  ['out/folder/x', outOrNot],
  ['fds/0', outOrNot],
  ['fds/1', outOrNot],
  ['a\0b', 'BAD_REQUEST'],
  ['\0', 'BAD_REQUEST'],
  ['n'.repeat(256), 'BAD_REQUEST'],
  [`x/${'n'.repeat(256)}/y`, 'BAD_REQUEST'],
  ['d/'.repeat(300), 'BAD_REQUEST'],
  [`${'n'.repeat(200)}/`.repeat(30), 'BAD_REQUEST'],
];
/** The same at the end of a link: only what follows it is refused. */
const leadingOut = ['out', 'out-file', 'proc-root', 'up', 'loop', 'zero', 'fds'];

const bytes = (path: string): Buffer => Buffer.from(path);
const read = async (path: string): Promise<void> => {
  (await files.open(bytes(path))).content.destroy();
};

describe.each(hostile)('%j', (path, code) => {
  test('is refused by everything', async () => {
    const refused = { code };
    await expect(files.stat(bytes(path))).rejects.toMatchObject(refused);
    await expect(read(path)).rejects.toMatchObject(refused);
    await expect(files.list(bytes(path), { recursive: false, limit: 10 })).rejects.toMatchObject(refused);
    await expect(files.write(bytes(path), bytes('x'))).rejects.toMatchObject(refused);
    await expect(files.write(bytes(path), bytes('x'), { append: true, parents: true })).rejects.toMatchObject(refused);
    await expect(files.makeFolder({ path, parents: true })).rejects.toMatchObject(refused);
    await expect(files.remove({ path, recursive: true })).rejects.toMatchObject(refused);
    await expect(files.move({ from: 'inside', to: path, overwrite: true })).rejects.toMatchObject(refused);
    await expect(files.copy({ from: path, to: 'copied', overwrite: true })).rejects.toMatchObject(refused);
    await expect(files.openArchive(bytes(path), 'tar')).rejects.toMatchObject(refused);
    expect(await readdir(outside)).toEqual(['folder', 'secret']);
    expect(await readdir(join(outside, 'folder'))).toEqual([]);
  });
});

describe.each(leadingOut)('the link %s', (path) => {
  test('is not followed out, but may be looked at, copied and removed as a link', async () => {
    await expect(files.stat(bytes(path))).rejects.toMatchObject({ code: 'PATH_FORBIDDEN' });
    await expect(read(path)).rejects.toMatchObject({ code: 'PATH_FORBIDDEN' });
    await expect(files.write(bytes(path), bytes('x'))).rejects.toMatchObject({ code: 'PATH_FORBIDDEN' });
    expect(await files.stat(bytes(path), { follow: false })).toMatchObject({ type: 'link' });
    expect(await files.copy({ from: path, to: 'copy-of-link', overwrite: false })).toMatchObject({ type: 'link' });
    await files.remove({ path: 'copy-of-link', recursive: true });
    expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('secret');
  });
});

test('pipes, sockets and devices are refused, and nobody waits for them', async () => {
  await expect(read('pipe')).rejects.toMatchObject({ code: 'NOT_A_REGULAR_FILE' });
  await expect(files.write(bytes('pipe'), bytes('x'))).rejects.toMatchObject({ code: 'NOT_A_REGULAR_FILE' });
  await expect(files.write(bytes('pipe'), bytes('x'), { append: true })).rejects.toMatchObject({
    code: 'NOT_A_REGULAR_FILE',
  });
  await expect(files.copy({ from: 'pipe', to: 'p2', overwrite: false })).rejects.toMatchObject({
    code: 'NOT_A_REGULAR_FILE',
  });
});

test('the roots themselves stay', async () => {
  for (const path of ['', '.', './/.', root, guest.roots[1]]) {
    await expect(files.remove({ path, recursive: true })).rejects.toMatchObject({ code: 'PATH_FORBIDDEN' });
    await expect(files.move({ from: path, to: 'moved', overwrite: true })).rejects.toMatchObject({
      code: 'PATH_FORBIDDEN',
    });
  }
  expect((await files.list(bytes(''), { recursive: false, limit: 1 })).entries).toHaveLength(1);
});

test('a folder that is exchanged for a link all the time never leads out', async () => {
  await mkdir(join(root, 'race'));
  const over = new AbortController();
  const exchanging = (async () => {
    while (!over.signal.aborted) {
      await rename(join(root, 'race'), join(root, 'race-kept'));
      await symlink(join(outside, 'folder'), join(root, 'race'));
      await rm(join(root, 'race'));
      await rename(join(root, 'race-kept'), join(root, 'race'));
    }
  })();
  for (let round = 0; round < 400; round++) {
    await files.write(bytes(`race/f${round % 10}`), bytes('x')).catch((thrown: unknown) => {
      expect(thrown).toMatchObject({ code: expect.stringMatching(/^(FILE_NOT_FOUND|PATH_FORBIDDEN)$/) as unknown });
    });
  }
  over.abort();
  await exchanging;
  expect(await readdir(join(outside, 'folder'))).toEqual([]);
});

test('whatever a path is made of, nothing outside is reached', async () => {
  const part = constantFrom('..', '.', '', 'out', 'fds', 'up', 'inside', 'new', '/', 'proc', '~', '\\', 'folder', '0');
  await assert(
    asyncProperty(array(part, { maxLength: 6 }), async (parts) => {
      const path = parts.join('/');
      await files.write(bytes(path), bytes('x')).catch(() => undefined);
      await files.remove({ path: `${path}/secret`, recursive: true }).catch(() => undefined);
      expect(await readdir(outside)).toEqual(['folder', 'secret']);
      expect(await readdir(join(outside, 'folder'))).toEqual([]);
    }),
    { numRuns: 150 },
  );
});

describe('archives', () => {
  const about = { mode: 0o644, modifiedAt: 0, size: 0, target: null };
  const unpack = async (...blocks: readonly Buffer[]): Promise<unknown> => {
    await mkdir(join(root, 'unpacked'), { recursive: true });
    const { body, answer } = files.unpack(bytes('unpacked'));
    body.end(Buffer.concat([...blocks, tarEnd]));
    try {
      return await answer;
    } finally {
      await rm(join(root, 'unpacked'), { recursive: true });
    }
  };
  const link = (name: string, target: string, type: 'symbolic-link' | 'hard-link' = 'symbolic-link'): Buffer =>
    encodeTarHeader({ ...about, name: bytes(name), type, target: bytes(target) });
  const file = (name: string): Buffer => encodeTarHeader({ ...about, name: bytes(name), type: 'file' });
  const folder = (name: string): Buffer => encodeTarHeader({ ...about, name: bytes(name), type: 'directory' });
  const special = (flag: string): Buffer => {
    const header = file('special');
    header.write(flag, 156);
    header.write('        ', 148);
    let sum = 0;
    for (const byte of header) sum += byte;
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return header;
  };

  test.each([
    ['a name with ..', [file('../evil')]],
    ['.. in the middle', [file('a/../../evil')]],
    ['an absolute name', [file('/tmp/evil')]],
    ['a link that leads out', [link('l', '../../../etc')]],
    ['an absolute link', [link('l', '/etc/passwd')]],
    ['a file behind a link of the archive', [link('l', '.'), file('l/x')]],
    ['a hard link to outside', [link('h', '../../secret', 'hard-link')]],
    ['a hard link to an absolute name', [link('h', '/etc/passwd', 'hard-link')]],
    ['a hard link through a link', [link('l', '.'), link('h', 'l/x', 'hard-link')]],
    ['a hard link to a link', [link('l', 'x'), link('h', 'l', 'hard-link')]],
    ['a hard link to a folder', [folder('d'), link('h', 'd', 'hard-link')]],
    ['a character device', [special('3')]],
    ['a block device', [special('4')]],
    ['a pipe', [special('6')]],
  ] as const)('%s is refused', async (_what, blocks) => {
    await expect(unpack(...blocks)).rejects.toMatchObject({
      code: expect.stringMatching(/^(PATH_FORBIDDEN|NOT_A_DIRECTORY)$/) as unknown,
    });
    expect(await readdir(outside)).toEqual(['folder', 'secret']);
  });

  test('a link of the folder is not passed through', async () => {
    const { body, answer } = files.unpack(bytes('inside'));
    await symlink(outside, join(root, 'inside/l'));
    body.end(Buffer.concat([file('l/evil'), tarEnd]));
    await expect(answer).rejects.toMatchObject({
      code: expect.stringMatching(/PATH_FORBIDDEN|NOT_A_DIRECTORY/) as unknown,
    });
    expect(await readdir(outside)).toEqual(['folder', 'secret']);
  });

  test('setuid is not taken over, and links inside are', async () => {
    const entry: TarEntry & { type: 'file' } = { ...about, name: bytes('s'), type: 'file', mode: 0o4755 };
    await expect(unpack(encodeTarHeader(entry), link('l', 's'))).resolves.toMatchObject({ files: 1, links: 1 });
  });
});
