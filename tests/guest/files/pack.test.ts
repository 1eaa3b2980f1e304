import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, readdir, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ByteSource } from '../../../src/kernel/byte-source.ts';
import { readTarEntry, skipTarPadding } from '../../../src/kernel/tar-decode.ts';
import type { TarEntry } from '../../../src/kernel/tar-entry.ts';
import { temporaryName } from '../../../src/kernel/temporary-name.ts';
import { type FilesClient, wholeOf } from '../../../src/wire/files-client.ts';
import { until } from '../../until.ts';
import { asNobody } from '../as-nobody.ts';
import { type RunningGuest, runGuest } from '../running-guest.ts';

let running: RunningGuest;
let files: FilesClient;
let folder: string;
let asRoot: () => void;
beforeEach(async () => {
  asRoot = asNobody();
  running = await runGuest();
  ({ files } = await running.client());
  folder = join(running.roots[0], 'packed');
  await mkdir(folder);
});
afterEach(async () => {
  await running[Symbol.asyncDispose]();
  asRoot();
});

const archive = async (): Promise<Buffer> =>
  await buffer(wholeOf(await files.openArchive(Buffer.from(folder), 'tar'), undefined));

async function entriesOf(content: Buffer): Promise<Map<string, TarEntry & { readonly content: string }>> {
  async function* chunks(): AsyncGenerator<Buffer> {
    yield content;
  }
  const source = new ByteSource(chunks());
  const entries = new Map<string, TarEntry & { readonly content: string }>();
  for (let entry = await readTarEntry(source); entry !== undefined; entry = await readTarEntry(source)) {
    const text = (await source.take(entry.size)).toString();
    await skipTarPadding(source, entry.size);
    entries.set(entry.name.toString('latin1'), { ...entry, content: text });
  }
  return entries;
}

/** Those that this process has started: their pids. */
function tars(): number[] {
  return readdirSync('/proc').flatMap((pid) => {
    try {
      const [, command, parent] = /^\d+ \((.*)\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
      return command === 'tar' && Number(parent) === process.pid ? [Number(pid)] : [];
    } catch {
      return []; // no process, or gone since
    }
  });
}

test('files, folders and links come in the order of their names, and nothing else does, also under long names', async () => {
  const long = 'x'.repeat(200);
  await mkdir(join(folder, 'sub/empty'), { recursive: true, mode: 0o750 });
  await writeFile(join(folder, 'sub', long), 'long');
  await writeFile(join(folder, 'sub', temporaryName().toString()), 'half of an upload');
  await mkdir(join(folder, temporaryName().toString()));
  await symlink(`${long}/${long}`, join(folder, 'link'));
  await writeFile(join(folder, 'tool'), 'tool');
  await chmod(join(folder, 'tool'), 0o4755);
  execFileSync('sh', ['-c', `ln tool twin; mkfifo pipe "${'w'.repeat(200)}"; echo x > "$(printf '%s\\377\\n.' -)"`], {
    cwd: folder,
  });
  const socket = createServer().listen(join(folder, 'socket'));
  try {
    const content = await archive();
    const entries = await entriesOf(content);
    expect([...entries].map(([name, { type }]) => [name, type])).toEqual([
      ['-\xff\n.', 'file'],
      ['link', 'symbolic-link'],
      ['sub', 'directory'],
      ['sub/empty', 'directory'],
      [`sub/${long}`, 'file'],
      ['tool', 'file'],
      ['twin', 'file'],
    ]);
    expect(entries.get('link')?.target?.toString()).toBe(`${long}/${long}`);
    expect(entries.get(`sub/${long}`)?.content).toBe('long');
    expect(entries.get('twin')).toMatchObject({ mode: 0o755, content: 'tool' });
    expect(execFileSync('tar', ['-tv'], { input: content }).toString()).toMatch(/^-rwxr-xr-x 0\/0 .* tool$/m);
  } finally {
    socket.close();
  }
});

test('an empty folder is an empty archive', async () => {
  expect(await archive()).toEqual(Buffer.alloc(1024));
});

test.for([
  ['before 1970', -5],
  ['after what eleven octal digits hold', 9_000_000_000],
] as const)('a time %s is read as it is', async ([, seconds]) => {
  execFileSync('sh', ['-c', `ln -s f l && touch -d @${seconds} f && touch -hd @${seconds} l`], { cwd: folder });
  const entries = await entriesOf(await archive());
  expect([...entries.values()].map(({ modifiedAt }) => modifiedAt)).toEqual([seconds, seconds]);
});

test('what may not be read is named as it is, whatever it is called', async () => {
  const path = join(folder, '\n" tar: "x"\\: File shrank\u00e9');
  await writeFile(path, 'x', { mode: 0 });
  await expect(archive()).rejects.toMatchObject({ code: 'FILE_ACCESS_DENIED', details: { path } });
});

test('the folder itself may be one that may not be read, or not be entered', async () => {
  for (const mode of [0o300, 0o400]) {
    await chmod(folder, mode);
    await expect(archive()).rejects.toMatchObject({ code: 'FILE_ACCESS_DENIED', details: { path: folder } });
  }
  await chmod(folder, 0o700);
});

/** Opens an archive of a file that is larger than all that holds back what nobody reads. */
async function begunArchive(): Promise<AsyncGenerator<Buffer, void>> {
  await writeFile(join(folder, 'large'), '');
  await truncate(join(folder, 'large'), 128 * 1024 * 1024);
  const chunks = wholeOf(await files.openArchive(Buffer.from(folder), 'tar'), undefined);
  await chunks.next();
  return chunks;
}

async function rest(chunks: AsyncGenerator<Buffer, void>): Promise<number> {
  let bytes = 0;
  for await (const chunk of chunks) bytes += chunk.length;
  return bytes;
}

test('a file that shrinks while it is read is the end of the archive, with its name', async () => {
  const chunks = await begunArchive();
  await truncate(join(folder, 'large'), 1);
  const path = join(folder, 'large');
  await expect(rest(chunks)).rejects.toMatchObject({ code: 'FILE_CHANGED', details: { path } });
  expect(tars()).toEqual([]);
});

test('a file that grows keeps its length, and one that goes is left out', async () => {
  await writeFile(join(folder, 'zz'), 'gone soon');
  const chunks = await begunArchive();
  await rm(join(folder, 'zz'));
  await truncate(join(folder, 'large'), 200 * 1024 * 1024);
  const first = await rest(chunks);
  expect(first).toBeGreaterThan(127 * 1024 * 1024);
  expect(first).toBeLessThan(129 * 1024 * 1024);
});

test('a tar that somebody kills is an archive that is not whole', async () => {
  const chunks = await begunArchive();
  for (const pid of tars()) process.kill(pid, 'SIGKILL');
  await expect(rest(chunks)).rejects.toMatchObject({ code: 'TRANSFER_BROKEN' });
});

test('when the reader leaves, tar is killed, and its files are closed', async () => {
  const before = readdirSync('/proc/self/fd').length;
  const stream = await files.openArchive(Buffer.from(running.roots[0]), 'tar');
  stream.destroy();
  const chunks = await begunArchive();
  expect(tars()).toHaveLength(1);
  await chunks.return();
  await until('tar is gone', () => tars().length === 0);
  await until('its pipes are gone', () => readdirSync('/proc/self/fd').length <= before);
});

test('a folder that is exchanged for a link all the time never lets in what is outside', async () => {
  const outside = join(running.runDirectory, 'outside');
  await mkdir(outside);
  await writeFile(join(outside, 'secret'), 'secret');
  const exchanged = join(folder, 'exchanged');
  await mkdir(exchanged);
  await writeFile(join(exchanged, 'ours'), 'ours');
  for (let at = 0; at < 200; at++) await writeFile(join(folder, `f${at}`), '');
  const over = new AbortController();
  const exchanging = (async () => {
    while (!over.signal.aborted) {
      await rename(exchanged, `${folder}/../kept`);
      await symlink(outside, exchanged);
      await rm(exchanged);
      await rename(`${folder}/../kept`, exchanged);
    }
  })();
  const seen = new Set<string>();
  for (let round = 0; round < 60; round++) {
    const content = await archive().catch((thrown: unknown) => {
      expect(thrown).toMatchObject({ code: 'FILE_CHANGED' });
      return Buffer.alloc(1024);
    });
    for (const [name, { type, content: text }] of await entriesOf(content)) {
      expect([name, text]).not.toContain('secret');
      if (name.startsWith('exchanged')) seen.add(`${name} ${type}`);
    }
  }
  over.abort();
  await exchanging;
  expect(seen).toContain('exchanged/ours file');
  expect(await readdir(outside)).toEqual(['secret']);
  expect(existsSync(join(exchanged, 'ours'))).toBe(true);
});
