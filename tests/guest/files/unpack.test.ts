import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { chmod, link, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { array, assert, asyncProperty, constantFrom, record } from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isTemporaryName } from '../../../src/kernel/temporary-name.ts';
import { encodeTarHeader } from '../../../src/kernel/tar-encode.ts';
import { tarEnd, tarPadding } from '../../../src/kernel/tar-entry.ts';
import type { FilesUnpacked } from '../../../src/wire/contract/files.ts';
import type { FilesClient, Upload } from '../../../src/wire/files-client.ts';
import { until } from '../../until.ts';
import { type RunningGuest, runGuest } from '../running-guest.ts';

let guest: RunningGuest;
let files: FilesClient;
let folder: string;
beforeEach(async () => {
  guest = await runGuest();
  files = (await guest.client()).files;
  folder = join(guest.roots[0], 'd');
});
afterEach(() => guest[Symbol.asyncDispose]());

type Entry = Partial<Parameters<typeof encodeTarHeader>[0]> & {
  readonly at: string | Buffer;
  readonly content?: string;
  readonly to?: string;
};

function packed({ at, content = '', to, type = to === undefined ? 'file' : 'symbolic-link', ...about }: Entry): Buffer {
  const [name, body] = [Buffer.from(at), Buffer.from(type === 'file' ? content : '')];
  const target = to === undefined ? null : Buffer.from(to);
  const header = { mode: 0o644, modifiedAt: 1_600_000_000, ...about, name, type, target, size: body.length };
  return Buffer.concat([encodeTarHeader(header), body, Buffer.alloc(tarPadding(body.length))]);
}

/** To be ended, or not. */
function begin(entries: readonly Entry[]): Upload<FilesUnpacked> {
  const upload = files.unpack(Buffer.from(folder));
  upload.body.on('error', () => undefined);
  upload.body.write(Buffer.concat(entries.map(packed)));
  return upload;
}

async function unpack(...entries: readonly Entry[]): Promise<FilesUnpacked> {
  const { body, answer } = begin(entries);
  body.end(tarEnd);
  return await answer;
}

/** Everything below a folder, by its bytes: what a file holds, where a link leads. */
function contents(of: string, above = of): Record<string, string | null> {
  const found: Record<string, string | null> = {};
  for (const name of readdirSync(Buffer.from(of, 'latin1'), 'latin1').sort()) {
    const path = `${of}/${name}`;
    const bytes = Buffer.from(path, 'latin1');
    const stats = lstatSync(bytes);
    const key = path.slice(above.length + 1);
    if (stats.isSymbolicLink()) found[key] = `→ ${readlinkSync(bytes)}`;
    else if (stats.isFile()) found[key] = readFileSync(bytes, 'utf8');
    else Object.assign(found, { [key]: null }, contents(path, above));
  }
  return found;
}

async function leftovers(): Promise<string[]> {
  return (await readdir(folder)).filter((name) => isTemporaryName(Buffer.from(name)));
}

/** Until a part of it has been written. */
async function hasBegun(): Promise<void> {
  await until('it is unpacked', async () => {
    const [beside] = existsSync(folder) ? await leftovers() : [];
    return beside !== undefined && (await readdir(join(folder, beside))).length > 0;
  });
}

test('what an archive holds has its content, mode and time, whatever its name is', async () => {
  const long = Buffer.concat([Buffer.from(`${'d'.repeat(120)}/ü`), Buffer.from([0xff, 0x0a, 0x5c])]);
  const unpacked = await unpack(
    { at: './a//b', content: 'b', mode: 0o4755, modifiedAt: 1_500_000_000 },
    { at: long, content: 'long' },
    { at: 'e', type: 'directory', mode: 0o500 },
    { at: 'h', type: 'hard-link', to: './a/./b' },
    { at: 'up', to: 'a/../../d/a' },
    { at: 'absolute', to: join(folder, 'a') },
  );
  expect(unpacked).toEqual({ files: 2, folders: 1, links: 3, bytes: 5 });
  expect(contents(folder)).toEqual({
    a: null,
    'a/b': 'b',
    ['d'.repeat(120)]: null,
    [long.toString('latin1')]: 'long',
    e: null,
    h: 'b',
    up: '→ a/../../d/a',
    absolute: `→ ${join(folder, 'a')}`,
  });
  const about = await stat(join(folder, 'a/b'));
  expect([about.mode & 0o7777, about.mtimeMs, about.nlink]).toEqual([0o755, 1_500_000_000_000, 2]);
  expect((await stat(join(folder, 'e'))).mode & 0o777).toBe(0o700);
});

test('what is there already keeps its place beside what comes, and files and links are replaced', async () => {
  await mkdir(join(folder, 'a/deep'), { recursive: true });
  await chmod(join(folder, 'a'), 0o711);
  await writeFile(join(folder, 'a/deep/mine'), 'mine');
  await writeFile(join(folder, 'a/file'), 'old');
  await link(join(folder, 'a/file'), join(folder, 'other-name'));
  await symlink('a', join(folder, 'link'));
  await unpack(
    { at: 'a', type: 'directory' },
    { at: 'a/file', content: 'new' },
    { at: 'a/deep/x', content: 'x' },
    { at: 'link', content: 'a file' },
    { at: 'other-name', to: 'a' },
  );
  expect(contents(folder)).toEqual({
    a: null,
    'a/deep': null,
    'a/deep/mine': 'mine',
    'a/deep/x': 'x',
    'a/file': 'new',
    link: 'a file',
    'other-name': '→ a',
  });
  expect((await stat(join(folder, 'a'))).mode & 0o777).toBe(0o711);
});

describe('nothing appears of an archive', () => {
  const good: Entry[] = [
    { at: 'a/first', content: 'x' },
    { at: 'there', content: 'new' },
  ];
  beforeEach(async () => {
    await mkdir(join(folder, 'folder'), { recursive: true });
    await writeFile(join(folder, 'there'), 'old');
    await writeFile(join(folder, 'kept'), 'kept');
    await symlink('folder', join(folder, 'link'));
  });
  afterEach(() => {
    expect(contents(folder)).toEqual({ folder: null, kept: 'kept', link: '→ folder', there: 'old' });
  });

  test.each<[string, Entry | Buffer, string]>([
    ['has a name that leads out', { at: '../x' }, 'PATH_FORBIDDEN'],
    ['has a link that leads out', { at: 'l', to: '../../../x' }, 'PATH_FORBIDDEN'],
    ['has a hard link to what only the folder has', { at: 'h', type: 'hard-link', to: 'kept' }, 'FILE_NOT_FOUND'],
    ['has a hard link to a folder', { at: 'h', type: 'hard-link', to: 'a' }, 'PATH_FORBIDDEN'],
    ['has a file as a folder', { at: 'a/first/x' }, 'NOT_A_DIRECTORY'],
    ['has a file where there is a folder', { at: 'folder' }, 'IS_A_DIRECTORY'],
    ['has a link where there is a folder', { at: 'folder', to: 'a' }, 'IS_A_DIRECTORY'],
    ['has a folder where there is a file', { at: 'there/x' }, 'NOT_A_DIRECTORY'],
    ['has a folder where there is a link', { at: 'link/x' }, 'NOT_A_DIRECTORY'],
    ['has a name that is too long', { at: 'n'.repeat(256) }, 'BAD_REQUEST'],
    [
      'breaks off',
      encodeTarHeader({ name: Buffer.from('cut'), type: 'file', size: 1_000, mode: 0, modifiedAt: 0, target: null }),
      'BAD_REQUEST',
    ],
    ['goes on with what is none', Buffer.alloc(512, 'x'), 'BAD_REQUEST'],
  ])('whose last entry %s', async (_what, last, code) => {
    const { body, answer } = begin(good);
    body.end(Buffer.isBuffer(last) ? last : Buffer.concat([packed(last), tarEnd]));
    await expect(answer).rejects.toMatchObject({ code });
  });

  test.each([
    ['whose sender leaves', ({ body }: Upload<FilesUnpacked>) => Promise.resolve(body.close())],
    ['when the guest stops', () => guest.guest.stop()],
  ])('%s in the middle', async (_what, end) => {
    const upload = begin(good);
    await hasBegun();
    await Promise.all([expect(upload.answer).rejects.toMatchObject({ code: 'WIRE_LOST' }), end(upload)]);
    await until('what was unpacked is gone', async () => (await leftovers()).length === 0);
  });
});

test('a watch tells of what was unpacked, and of nothing before and beside it', async () => {
  await mkdir(folder);
  const items = files.watch({ path: folder, recursive: true, exclude: [], cursor: null });
  await items.next();
  const { body, answer } = begin([{ at: 'a/b', content: 'x' }]);
  await hasBegun();
  body.end(tarEnd);
  await answer;
  await writeFile(join(folder, 'last'), '');
  const told = new Set<string>();
  for await (const item of items) {
    if (item.type === 'changes') for (const { path } of item.changes) told.add(path);
    if (told.has(join(folder, 'last')) && told.has(join(folder, 'a/b'))) break;
  }
  expect([...told].sort()).toEqual(['a', 'a/b', 'last'].map((name) => join(folder, name)));
});

test('a folder removed while an archive is unpacked into it is FILE_NOT_FOUND: its half file is gone as well', async () => {
  const { body, answer } = files.unpack(Buffer.from(folder));
  const file = { type: 'file', target: null, mode: 0o644, modifiedAt: 0, name: Buffer.from('f') } as const;
  body.write(encodeTarHeader({ ...file, size: 1_000 }));
  body.write(Buffer.alloc(500));
  await until('it begins', async () => existsSync(folder) && (await readdir(folder)).length === 1);
  await rm(folder, { recursive: true });
  body.end(Buffer.alloc(500 + 24 + 1_024));
  await expect(answer).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
});

test('whatever an archive holds, nothing outside is written, and it is unpacked as a whole or not at all', async () => {
  const outside = await mkdtemp(join(tmpdir(), 'caisson-outside-'));
  try {
    await writeFile(join(outside, 'secret'), 'secret');
    const name = constantFrom(
      'a',
      'b',
      'a/b',
      'a/b/c',
      'b/a',
      './a',
      'a/../b',
      '../x',
      'own',
      'own/x',
      'out',
      'out/x',
      'out/secret',
    );
    const type = constantFrom('file', 'directory', 'symbolic-link', 'hard-link');
    const to = constantFrom(
      '.',
      '..',
      'a',
      'a/b',
      'b',
      '../d/a',
      'own',
      'own/mine',
      'out',
      'out/secret',
      '/',
      outside,
      `${outside}/secret`,
    );
    const entry = record({ at: name, type, to });
    await assert(
      asyncProperty(array(entry, { minLength: 1, maxLength: 6 }), async (entries) => {
        await rm(folder, { recursive: true, force: true });
        await mkdir(join(folder, 'own'), { recursive: true });
        await writeFile(join(folder, 'own/mine'), 'mine');
        await symlink(outside, join(folder, 'out'));
        const before = contents(folder);
        const isDone = await unpack(...entries.map((each) => ({ ...each, content: 'written' }))).then(
          () => true,
          () => false,
        );
        expect(contents(outside)).toEqual({ secret: 'secret' });
        const after = contents(folder);
        if (!isDone) expect(after).toEqual(before);
        else expect(after).toMatchObject({ 'own/mine': expect.any(String) as unknown });
        expect(Object.keys(after).filter((path) => isTemporaryName(Buffer.from(path)))).toEqual([]);
      }),
      { numRuns: 150 },
    );
  } finally {
    await rm(outside, { recursive: true });
  }
});
