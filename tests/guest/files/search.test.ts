import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { SearchItem, SearchMatch, SearchRequest } from '../../../src/wire/contract/files.ts';
import type { FilesClient } from '../../../src/wire/files-client.ts';
import { until } from '../../until.ts';
import { ripgrepFolder } from '../../acp/codex-harness.ts';
import { type RunningGuest, runGuest } from '../running-guest.ts';

let guest: RunningGuest;
let files: FilesClient;
let folder = '';
let count = 0;
const path = process.env['PATH'];
beforeAll(async () => {
  guest = await runGuest();
  files = (await guest.client()).files;
});
afterAll(() => guest[Symbol.asyncDispose]());
beforeEach(async () => {
  folder = join(guest.roots[0], `t${++count}`);
  await mkdir(folder);
});
afterEach(() => {
  process.env['PATH'] = path;
});

async function all(items: AsyncIterable<SearchItem>): Promise<SearchItem[]> {
  const given: SearchItem[] = [];
  for await (const item of items) given.push(item);
  return given;
}

const request = (query: string, more: Partial<SearchRequest> = {}): SearchRequest => ({
  path: folder,
  query,
  by: 'content',
  literal: false,
  ignoreCase: false,
  globs: [],
  includeIgnored: false,
  limit: 10_000,
  ...more,
});

describe('with the ripgrep of the image', () => {
  beforeEach(() => {
    process.env['PATH'] = `${ripgrepFolder()}:${path ?? ''}`;
  });

  const search = async (query: string, more: Partial<SearchRequest> = {}): Promise<SearchMatch[]> => {
    const found: SearchMatch[] = [];
    for await (const item of files.search(request(query, more)))
      if (item.type === 'matches') found.push(...item.matches);
    return found;
  };

  test('F8: files that turn out to be binary after matches do not become a part of the next name', async () => {
    const names: string[] = [];
    for (let at = 0; at < 30; at++) {
      for (const name of [`m${at}.bin`, `n\n${at}.bin`]) {
        await writeFile(join(folder, name), `needle\n${'y\n'.repeat(100_000)}\0\nneedle\n`);
        names.push(name);
      }
      await writeFile(join(folder, `m${at}.txt`), 'needle\nneedle\n');
      names.push(`m${at}.txt`);
    }
    const found = await search('needle');
    expect(new Set(found.map(({ path }) => path.slice(folder.length + 1)))).toEqual(new Set(names));
    expect(found).toHaveLength(30 * 4);
  });

  test('by name, what the globs exclude is not found: ripgrep takes the last glob that matches for all', async () => {
    for (const name of ['foo.ts', 'foo.js', 'bar.ts', 'Foo.ts']) await writeFile(join(folder, name), '');
    await writeFile(join(folder, '.gitignore'), 'foo.ignored\n');
    for (const name of ['.foo', 'foo.ignored']) await writeFile(join(folder, name), '');
    const find = async (query: string, more: Partial<SearchRequest> = {}) =>
      (await search(query, { by: 'name', ...more })).map((match) => match.path.slice(folder.length + 1)).sort();
    expect(await find('foo', { globs: ['*.ts'] })).toEqual(['foo.ts']);
    expect(await find('foo', { globs: ['!*.ts'] })).toEqual(['foo.js']);
    expect(await find('f*', { globs: ['*.ts'], ignoreCase: true })).toEqual(['Foo.ts', 'foo.ts']);
    expect(await find('foo')).toEqual(['foo.js', 'foo.ts']);
    expect(await find('foo', { includeIgnored: true })).toEqual(['.foo', 'foo.ignored', 'foo.js', 'foo.ts']);
    expect(await find('*', { limit: 2 })).toHaveLength(2);
    await expect(find('[')).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  });

  test('lines that are very long are cut, and names of any bytes are whole', async () => {
    await writeFile(join(folder, 'long'), `${'y'.repeat(3_000_000)}needle${'y'.repeat(3_000_000)}`);
    await writeFile(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0x0a, 0x3a])]), 'a needle\n');
    const found = await search('needle');
    expect(found.map(({ path, line, column }) => [path.slice(folder.length + 1), line, column])).toEqual(
      expect.arrayContaining([
        ['long', 1, 3_000_001],
        ['\udcff\n:', 1, 3],
      ]),
    );
    for (const { text } of found) expect(text?.length).toBeLessThanOrEqual(2_048);
  });
});

describe('with the ripgrep of the image, and something else in place of its ignore files', () => {
  beforeEach(() => {
    process.env['PATH'] = `${ripgrepFolder()}:${path ?? ''}`;
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('a link to a device is read until the bound of memory, which is told', async () => {
    await symlink('/dev/zero', join(folder, '.ignore'));
    await writeFile(join(folder, 'a'), 'needle\n');
    await expect(all(files.search(request('needle')))).rejects.toMatchObject({ code: 'LIMIT_REACHED' });
  });

  test.for(['.ignore', '.gitignore', '.rgignore'])('a pipe as %s ends the search, with the reason', async (name) => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    execFileSync('mkfifo', [join(folder, name)]);
    await writeFile(join(folder, 'a'), 'needle\n');
    let failure: unknown;
    all(files.search(request('needle'))).catch((thrown: unknown) => (failure = thrown));
    await until('the search ends', () => {
      vi.advanceTimersByTime(5_000);
      return failure !== undefined;
    });
    expect(failure).toMatchObject({ code: 'SEARCH_FAILED', hint: expect.stringContaining('pipe') });
  });
});

describe('with a ripgrep that dies', () => {
  let programs: string;
  const rg = async (script: string): Promise<void> => {
    programs = await mkdtemp(join(tmpdir(), 'caisson-rg-'));
    await writeFile(join(programs, 'rg'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    process.env['PATH'] = `${programs}:${path ?? ''}`;
  };
  afterEach(() => rm(programs, { recursive: true }));
  const match = String.raw`printf './a\0001:1:needle\n'`;

  test('by a signal, with nothing found: the search fails', async () => {
    await rg('kill -9 $$');
    await expect(all(files.search(request('needle')))).rejects.toMatchObject({
      code: 'SEARCH_FAILED',
      message: expect.stringContaining('SIGKILL'),
    });
  });

  test('for want of room for its threads: the sandbox is at its limit', async () => {
    const said =
      'failed to spawn thread: Os { code: 11, kind: WouldBlock, message: "Resource temporarily unavailable" }';
    await rg(`echo '${said}' >&2; kill -SEGV $$`); // so ends ripgrep 13 in a container of two processes
    await expect(all(files.search(request('needle')))).rejects.toMatchObject({
      code: 'LIMIT_REACHED',
      hint: expect.stringContaining('caisson ps'),
    });
  });

  test.for(['kill -9 $$', 'exit 101', 'echo no >&2; exit 2'])(
    'by `%s`, with matches: there may be more',
    async (end) => {
      await rg(`${match}; ${end}`);
      expect(await all(files.search(request('needle')))).toEqual([
        { type: 'matches', matches: [expect.objectContaining({ line: 1, text: 'needle' })] },
        { type: 'end', isCut: true },
      ]);
    },
  );

  test('not, and may not read some files: the search is whole', async () => {
    await rg(`${match}; exit 2`);
    expect((await all(files.search(request('needle')))).at(-1)).toEqual({ type: 'end', isCut: false });
  });

  test('since it is not there: the image lacks it', async () => {
    await rg('exit 0');
    await rm(join(programs, 'rg'));
    process.env['PATH'] = programs;
    await symlink('/bin/sh', join(programs, 'sh'));
    await expect(all(files.search(request('needle')))).rejects.toMatchObject({ code: 'CAPABILITY_UNSUPPORTED' });
  });
});

describe('with a search that never ends', () => {
  let programs: string;
  beforeEach(async () => {
    programs = await mkdtemp(join(tmpdir(), 'caisson-rg-'));
    await writeFile(join(programs, 'rg'), `#!/bin/sh\necho > ${programs}/$$.pid\nexec sleep 100000\n`);
    await chmod(join(programs, 'rg'), 0o755);
    process.env['PATH'] = `${programs}:${path ?? ''}`;
  });
  afterEach(() => rm(programs, { recursive: true }));
  const processes = async (): Promise<number[]> => {
    const started = (await readdir(programs)).filter((name) => name.endsWith('.pid')).map((name) => parseInt(name, 10));
    return started.filter((pid) => existsSync(`/proc/${pid}/exe`));
  };

  test('F14: its process is killed when the reader leaves, and above eight no more begins', async () => {
    const readers = Array.from({ length: 8 }, () => new AbortController());
    const searches = readers.map(({ signal }) => files.search(request('x'), signal).next());
    await until('eight search', async () => (await processes()).length === 8);
    await expect(files.search(request('x')).next()).rejects.toMatchObject({ code: 'LIMIT_REACHED' });
    readers[0]?.abort();
    await expect(searches[0]).rejects.toBeDefined();
    await until('its process is gone', async () => (await processes()).length === 7);
    for (const reader of readers) reader.abort();
    await Promise.allSettled(searches);
    await until('all processes are gone', async () => (await processes()).length === 0);
    const last = new AbortController();
    const again = files.search(request('x'), last.signal).next();
    await until('another may search', async () => (await processes()).length === 1);
    last.abort();
    await expect(again).rejects.toBeDefined();
    await until('it is gone too', async () => (await processes()).length === 0);
  });
});

test('F14: eight archives are packed or unpacked at once, and no more', async () => {
  await writeFile(join(folder, 'large'), '');
  await truncate(join(folder, 'large'), 64 * 1024 * 1024);
  const open = () => files.openArchive(Buffer.from(folder), 'tar');
  const archives = await Promise.all(Array.from({ length: 7 }, open)); // nobody reads them
  const upload = files.unpack(Buffer.from(`${folder}/into`));
  await until('it is being unpacked', () => existsSync(`${folder}/into`));
  const refused = { code: 'LIMIT_REACHED' };
  await expect(open()).rejects.toMatchObject(refused);
  await expect(files.unpack(Buffer.from(`${folder}/more`)).answer).rejects.toMatchObject(refused);
  archives[0]?.destroy();
  const again = await until('another may be packed', () => open().catch(() => undefined));
  again.destroy();
  upload.body.destroy();
  for (const archive of archives) archive.destroy();
});
