import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { array, asyncProperty, assert, constantFrom, oneof, record, string } from 'fast-check';
import { expect, test } from 'vitest';
import { unpackFolder } from '../../../src/cli/files/unpack-folder.ts';
import { isTemporaryName } from '../../../src/kernel/temporary-name.ts';
import { encodeTarHeader } from '../../../src/kernel/tar-encode.ts';
import { tarEnd, tarPadding } from '../../../src/kernel/tar-entry.ts';

interface Entry {
  readonly name: string;
  readonly type: 'file' | 'directory' | 'symbolic-link' | 'hard-link';
  readonly target?: string;
}

const content = Buffer.from('of the sandbox\n');

async function* archive(entries: readonly Entry[]): AsyncGenerator<Buffer, void> {
  for (const { name, type, target } of entries) {
    const size = type === 'file' ? content.length : 0;
    yield encodeTarHeader({
      name: Buffer.from(name),
      type,
      mode: 0o644,
      size,
      modifiedAt: 1,
      target: target === undefined ? null : Buffer.from(target),
    });
    if (size > 0) yield Buffer.concat([content, Buffer.alloc(tarPadding(size))]);
  }
  yield tarEnd;
}

const folderAt = 'a/b/a';

/** A folder to unpack into, three folders deep, and files around it with the names that archives use. */
function scene(): { readonly folder: string; readonly outside: () => unknown } & Disposable {
  const base = mkdtempSync(join(tmpdir(), 'caisson-unpack-'));
  mkdirSync(join(base, folderAt), { recursive: true });
  for (const folder of ['', 'a', 'a/b']) {
    for (const name of ['c', 'd', 'notes']) writeFileSync(join(base, folder, name), 'of the user\n');
  }
  linkSync(join(base, 'notes'), join(base, folderAt, 'notes')); // another name of a file outside
  symlinkSync('../../../d', join(base, folderAt, 'd')); // a link of the user's own, which leads out
  mkdirSync(join(base, folderAt, 'own'));
  symlinkSync('..', join(base, folderAt, 'own/up')); // one that leads to where that one is
  const list = (path: string): unknown => {
    if (path === join(base, folderAt)) return undefined;
    const stats = lstatSync(path);
    if (stats.isSymbolicLink()) return readlinkSync(path);
    if (!stats.isDirectory()) return readFileSync(path, 'utf8');
    return Object.fromEntries(readdirSync(path).map((name) => [name, list(join(path, name))]));
  };
  return {
    folder: join(base, folderAt),
    outside: () => list(base),
    [Symbol.dispose]: () => rmSync(base, { recursive: true, force: true }),
  };
}

/** Follows every link that the archives made, in the ways that people do. */
function writeThroughLinks(folder: string): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const stats = lstatSync(path);
    if (stats.isDirectory()) writeThroughLinks(path);
    if (!stats.isSymbolicLink() || ['../../../d', '..'].includes(readlinkSync(path))) continue;
    for (const way of ['', 'c', 'd', 'x', 'up/d'].map((name) => join(path, name))) {
      try {
        writeFileSync(way, 'through a link\n');
      } catch {
        // it leads to nothing, or to a folder
      }
    }
  }
}

const part = constantFrom('a', 'b', 'c', 'd', 'notes', 'A', '..', '.', '');
const path = oneof(
  { weight: 8, arbitrary: array(part, { minLength: 1, maxLength: 6 }).map((parts) => parts.join('/')) },
  { weight: 1, arbitrary: string({ maxLength: 12 }).filter((text) => !text.includes('\0') && text !== '') },
);
const entry = record({
  name: path,
  type: constantFrom<Entry['type']>(
    'file',
    'directory',
    'symbolic-link',
    'symbolic-link',
    'symbolic-link',
    'hard-link',
  ),
  target: oneof(
    path,
    constantFrom('.', '..', 'own', 'b/d', 'b/up/d', 'c/../notes', 'a/../x', 'b/../../c', 'c/../../../d'),
  ),
});
const hostile = record({ into: constantFrom('', 'b', 'c', 'b/c'), entries: array(entry, { maxLength: 12 }) });

test('no archives, one after another into the folder and below it, write or lead out of it', async () => {
  await assert(
    asyncProperty(array(hostile, { minLength: 1, maxLength: 4 }), async (archives) => {
      using place = scene();
      const before = place.outside();
      for (const { into, entries } of archives) {
        await unpackFolder(join(place.folder, into), archive(entries)).catch(() => undefined);
        expect(place.outside()).toEqual(before);
      }
      if (lstatSync(join(place.folder, 'notes')).nlink > 1) rmSync(join(place.folder, 'notes')); // what it is, the user knows
      writeThroughLinks(place.folder);
      expect(place.outside()).toEqual(before);
    }),
    { numRuns: 400 },
  );
}, 180_000);

test('a chain of links, each of which stays inside by its text, does not lead out', async () => {
  using place = scene();
  const { leftOut } = await unpackFolder(
    place.folder,
    archive([
      { name: 'u', type: 'symbolic-link', target: '.' },
      { name: 'out', type: 'symbolic-link', target: 'u/u/u/../../../notes' },
      { name: 'b/up', type: 'symbolic-link', target: '../..' },
      { name: 'mine', type: 'symbolic-link', target: 'd' },
      { name: 'absolute', type: 'symbolic-link', target: '/etc' },
      { name: 'endless', type: 'symbolic-link', target: 'a/'.repeat(3_000) },
    ]),
  );
  expect(leftOut).toEqual(['u', 'out', 'b/up', 'mine', 'absolute', 'endless']);
});

test('a link that a later link would turn outwards is not made', async () => {
  using place = scene();
  const { leftOut } = await unpackFolder(
    place.folder,
    archive([
      { name: 'out', type: 'symbolic-link', target: 'u/../notes' },
      { name: 'u', type: 'symbolic-link', target: '.' },
    ]),
  );
  expect(leftOut).toEqual(['out', 'u']);
});

test.for([
  ['of one archive', 1, 'bb/d', '.'],
  ['of two archives', 2, 'bb/d', '.'],
  ['of two archives, through a link that stays inside', 2, 'bb/up/d', 'own'],
  ['of a folder that is given by a link', 1, 'bb/d', '.'],
] as const)(
  'two links %s, of which the second turns the first to where a link of the user leads out',
  async ([name, count, first, second]) => {
    using place = scene();
    const folder = name.endsWith('given by a link') ? join(place.folder, '../link') : place.folder;
    if (folder !== place.folder) symlinkSync('a', folder);
    const before = place.outside();
    const links: Entry[] = [
      { name: 'a1', type: 'symbolic-link', target: first },
      { name: 'bb', type: 'symbolic-link', target: second },
    ];
    const archives = count === 1 ? [links] : links.map((link) => [link]);
    const leftOut: string[] = [];
    for (const entries of archives) leftOut.push(...(await unpackFolder(folder, archive(entries))).leftOut);
    expect(leftOut).toEqual(['bb']);
    expect(() => writeFileSync(join(place.folder, 'a1'), 'pwned')).toThrow('ENOENT');
    expect(place.outside()).toEqual(before);
  },
);

test('beside a link of the user that leads out, links to other folders are made, also a second time', async () => {
  using place = scene();
  const entries = [
    { name: 'releases/1/x', type: 'file' },
    { name: 'releases/1/self', type: 'symbolic-link', target: '.' },
    { name: 'current', type: 'symbolic-link', target: 'releases/1' },
    { name: 'all', type: 'symbolic-link', target: 'releases' },
  ] as const;
  for (const _ of [1, 2]) {
    expect((await unpackFolder(place.folder, archive(entries))).leftOut).toEqual([]);
    expect(readFileSync(join(place.folder, 'all/1/self/x'))).toEqual(content);
  }
});

test('links inside are made, also to what comes later, through other links, and below a file', async () => {
  using place = scene();
  const { leftOut } = await unpackFolder(
    place.folder,
    archive([
      { name: 'bin/tool', type: 'symbolic-link', target: '../lib/pkg/tool.js' },
      { name: 'lib/pkg', type: 'symbolic-link', target: '.store/pkg@1' },
      { name: 'lib/.store/pkg@1/tool.js', type: 'file' },
      { name: 'README', type: 'file' },
      { name: 'odd', type: 'symbolic-link', target: 'README/x' },
    ]),
  );
  expect(leftOut).toEqual([]);
  expect(readFileSync(join(place.folder, 'bin/tool'))).toEqual(content);
});

test('names of 255 bytes, and names of half files, are names like others', async () => {
  using place = scene();
  const names = ['x'.repeat(255), 'x', 'x.caisson-part'];
  await unpackFolder(place.folder, archive(names.toReversed().map((name) => ({ name, type: 'file' }))));
  expect(readdirSync(place.folder).toSorted()).toEqual([...names, 'd', 'notes', 'own'].toSorted());
});

test('an archive that breaks off leaves no half file, and an interruption neither', async () => {
  using place = scene();
  const cut = [
    encodeTarHeader({ name: Buffer.from('x'), type: 'file', mode: 0o644, size: 9, modifiedAt: 1, target: null }),
  ];
  await expect(
    unpackFolder(
      place.folder,
      (async function* () {
        yield* cut;
      })(),
    ),
  ).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  const module = pathToFileURL(join(import.meta.dirname, '../../../src/cli/files/half-file.ts')).href;
  const script = `
    const { HalfFile } = await import(${JSON.stringify(module)});
    const half = new HalfFile({ folder: Buffer.from(process.argv[1]), name: Buffer.from('x'), mode: 0o644 });
    half.write(Buffer.from('x'));
    console.log('half');
    setInterval(() => half, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, place.folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  expect(readdirSync(place.folder).filter((name) => isTemporaryName(Buffer.from(name)))).toHaveLength(1);
  child.kill('SIGINT');
  expect(await once(child, 'close')).toEqual([null, 'SIGINT']);
  expect(readdirSync(place.folder).toSorted()).toEqual(['d', 'notes', 'own']);
});

test('in a new folder a file that comes twice, or where a link is, replaces what was there', async () => {
  using at = scene();
  const folder = join(at.folder, 'new');
  await unpackFolder(
    folder,
    archive([
      { name: 'twice', type: 'file' },
      { name: 'twice', type: 'file' },
      { name: 'elsewhere', type: 'symbolic-link', target: 'twice' },
      { name: 'elsewhere', type: 'file' },
    ]),
  );
  expect(readdirSync(folder).toSorted()).toEqual(['elsewhere', 'twice']);
  expect(lstatSync(join(folder, 'elsewhere')).isFile()).toBe(true);
  expect(lstatSync(join(folder, 'twice')).mtimeMs).toBe(1_000);
});

test('a time before 1970 becomes 1970', async () => {
  using at = scene();
  const header = encodeTarHeader({
    name: Buffer.from('old'),
    type: 'file',
    mode: 0o644,
    size: 0,
    modifiedAt: 0,
    target: null,
  });
  header.fill(0xff, 136, 148); // -1 in base 256
  header.fill(' ', 148, 156);
  header.write(
    `${header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  );
  for (const folder of [join(at.folder, 'new'), at.folder]) {
    await unpackFolder(
      folder,
      (async function* () {
        yield Buffer.concat([header, tarEnd]);
      })(),
    );
    expect(lstatSync(join(folder, 'old')).mtimeMs).toBe(0);
  }
});

test('files come into their own folders also where the archive names no folders', async () => {
  using at = scene();
  const names = ['p/x/1', 'q/x/2', 'p/x/3', 'x/4', '5'];
  await unpackFolder(at.folder, archive(names.map((name) => ({ name, type: 'file' }))));
  for (const name of names) expect(readFileSync(join(at.folder, name))).toEqual(content);
});
