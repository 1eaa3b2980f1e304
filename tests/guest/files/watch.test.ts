import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { Confinement } from '../../../src/guest/files/confinement.ts';
import { Watches } from '../../../src/guest/files/watches.ts';
import type { FilesClient } from '../../../src/wire/files-client.ts';
import type { WatchItem } from '../../../src/wire/contract/files.ts';
import { until } from '../../until.ts';
import { type RunningGuest, runGuest } from '../running-guest.ts';

let guest: RunningGuest;
let files: FilesClient;
let folder = '';
let count = 0;
beforeAll(async () => {
  guest = await runGuest();
  files = (await guest.client()).files;
});
afterAll(() => guest[Symbol.asyncDispose]());
beforeEach(async () => {
  folder = join(guest.roots[0], `t${++count}`);
  await mkdir(folder);
});

const sh = (script: string): void => void execFileSync('bash', ['-ec', script], { cwd: folder });

/** A watch whose items are collected. */
class Watching implements AsyncDisposable {
  readonly items: WatchItem[] = [];
  failure: unknown;
  readonly #leave = new AbortController();
  readonly #done: Promise<void>;

  constructor(path = folder, options: { cursor?: string; recursive?: boolean; exclude?: string[] } = {}) {
    const { cursor = null, recursive = true, exclude = [] } = options;
    const watch = files.watch({ path, recursive, exclude, cursor }, this.#leave.signal);
    this.#done = (async () => {
      try {
        for await (const item of watch) this.items.push(item);
      } catch (thrown) {
        this.failure = thrown;
      }
    })();
  }

  /** `removed /a`, `changed /b`, below the folder of the test. */
  get changes(): string[] {
    return this.items.flatMap((item) =>
      item.type === 'changes' ? item.changes.map(({ path, kind }) => `${kind} ${path.slice(folder.length)}`) : [],
    );
  }

  async ready(): Promise<this> {
    await until('the watch is ready', () => this.items.length > 0 || this.failure !== undefined);
    expect(this.failure).toBeUndefined();
    return this;
  }

  async sees(...changes: string[]): Promise<void> {
    await until(`${changes.join()} of ${folder}`, () => changes.every((change) => this.changes.includes(change)));
  }

  /** Makes a file and waits for it: what was told before is all there is. */
  async isStill(): Promise<void> {
    const name = `mark-${this.items.length}`;
    await writeFile(join(folder, name), '');
    await this.sees(`changed /${name}`);
  }

  async has(type: WatchItem['type']): Promise<void> {
    await until(type, () => this.items.some((item) => item.type === type));
  }

  async fails(): Promise<unknown> {
    await until('the watch ends', () => this.failure !== undefined);
    return this.failure;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leave.abort();
    await this.#done;
  }
}

/** The folders from `path` on, by their inodes as the kernel writes them. */
function foldersOf(path: string): ReadonlySet<string> {
  const found = execFileSync('find', [path, '-type', 'd', '-printf', '%i\n']).toString().trim().split('\n');
  return new Set(found.map((inode) => Number(inode).toString(16)));
}

/** How many of these folders this process watches now, as the kernel counts them. */
async function watchedOf(folders: ReadonlySet<string>): Promise<number> {
  const watched = new Set<string>();
  for (const fd of await readdir('/proc/self/fdinfo')) {
    const info = await readFile(`/proc/self/fdinfo/${fd}`, 'utf8').catch(() => '');
    for (const [, inode = ''] of info.matchAll(/^inotify wd:\S+ ino:([0-9a-f]+) /gm)) watched.add(inode);
  }
  return [...folders].filter((folder) => watched.has(folder)).length;
}

test('F2: a folder that becomes a link to itself is told, and does not end the guest', async () => {
  sh('mkdir d; touch d/x');
  await using watching = await new Watching().ready();
  sh('touch d/y; rm -rf d; ln -s d d');
  await watching.sees('changed /d', 'removed /d/x', 'removed /d/y');
  await watching.isStill();
});

test('F2: names in a folder that was exchanged for a link to outside are not looked at there', async () => {
  const outside = await mkdtemp(join(tmpdir(), 'caisson-outside-'));
  await writeFile(join(outside, 'secret'), 'x');
  await mkdir(join(outside, 'deep'));
  sh('mkdir d; touch d/secret; mkdir d/deep');
  await using watching = await new Watching().ready();
  sh(`touch d/secret d/deep/x; rm -rf d; ln -s ${outside} d`);
  await watching.sees('changed /d', 'removed /d/secret', 'removed /d/deep');
  await watching.isStill();
  expect(watching.changes).not.toContain('changed /d/secret');
  await rm(outside, { recursive: true });
});

test('F2: a folder that was exchanged for a link within the roots is a link, and no folder that is watched', async () => {
  sh('mkdir d other; touch d/x');
  await using watching = await new Watching().ready();
  sh('rm -rf d; ln -s other d; touch other/x');
  await watching.sees('changed /d', 'changed /other/x');
  sh('touch other/z');
  await watching.sees('changed /other/z');
  expect(watching.changes.filter((change) => /changed \/d\//.test(change))).toEqual([]);
});

test('F2: paths that are longer than anybody could name do not end the guest; the watch says that it is incomplete', async () => {
  await using watching = await new Watching().ready();
  sh(`for i in $(seq 20); do mkdir ${'n'.repeat(240)}; cd ${'n'.repeat(240)}; touch x; done`);
  await watching.has('incomplete');
  await watching.isStill();
  sh('rm -rf n*'); // Node takes no path of this length
});

test('F3: a folder that is removed and made again at once is watched again, and what is in it is told', async () => {
  sh('mkdir -p dist/sub; touch dist/sub/a');
  await using watching = await new Watching().ready();
  for (let round = 0; round < 5; round++) {
    sh(`rm -rf dist && mkdir -p dist/sub && touch dist/sub/at-once-${round}`);
    await watching.sees(`changed /dist/sub/at-once-${round}`);
    sh(`touch dist/later-${round} dist/sub/later-${round}`);
    await watching.sees(`changed /dist/later-${round}`, `changed /dist/sub/later-${round}`);
  }
});

test('F3: the same while a process stays in the folder that is removed', async () => {
  sh('mkdir dist');
  const held = spawn('sleep', ['1000'], { cwd: join(folder, 'dist') });
  try {
    await using watching = await new Watching().ready();
    sh('rm -rf dist && mkdir dist');
    await watching.sees('changed /dist');
    sh('touch dist/later');
    await watching.sees('changed /dist/later');
  } finally {
    held.kill('SIGKILL');
  }
});

test('F3: folders that change their names are told by their new ones', async () => {
  sh('mkdir -p a/sub b');
  await using watching = await new Watching().ready();
  sh('mv a c; mv b a; mv c b');
  await watching.sees('changed /a', 'changed /b', 'changed /b/sub');
  sh('touch b/sub/new a/new2');
  await watching.sees('changed /b/sub/new', 'changed /a/new2');
  expect(watching.changes.filter((change) => /\/a\/sub\/new|\/c\/|\/b\/new2/.test(change))).toEqual([]);
});

test('a folder that was moved away is told of no more', async () => {
  const away = join(guest.roots[1], `away-${count}`);
  sh('mkdir -p d/e');
  await using watching = await new Watching().ready();
  const folders = foldersOf(join(folder, 'd'));
  expect(await watchedOf(folders)).toBe(2);
  await rename(join(folder, 'd'), away);
  await watching.sees('removed /d');
  await writeFile(join(away, 'e/x'), '');
  await watching.isStill();
  expect(watching.changes.filter((change) => change.includes('/d/'))).toEqual([]);
  expect(await watchedOf(folders)).toBe(0);
});

test('F4: a change of mode is told as one of the folder, and of nothing in it', async () => {
  sh('mkdir d');
  await using watching = await new Watching().ready();
  sh('chmod 700 d; chmod 755 d .');
  await watching.sees('changed /d');
  await watching.isStill();
  expect(new Set(watching.changes.filter((change) => !change.includes('/mark-')))).toEqual(new Set(['changed /d']));
});

test('the watched folder itself is removed: the watch ends with FILE_NOT_FOUND, and one that is made again is watched anew', async () => {
  await mkdir(join(folder, 'top'));
  await using watching = await new Watching(join(folder, 'top')).ready();
  sh('rmdir top');
  expect(await watching.fails()).toMatchObject({ code: 'FILE_NOT_FOUND' });
  sh('mkdir top');
  await using again = await new Watching(join(folder, 'top')).ready();
  sh('touch top/x');
  await again.sees('changed /top/x');
});

test('the watched folder itself is removed and made again at once: the watch goes on', async () => {
  await mkdir(join(folder, 'top'));
  await using watching = await new Watching(join(folder, 'top'), { recursive: false }).ready();
  sh('rmdir top; mkdir top; touch top/x');
  await watching.sees('changed /top/x');
  sh('touch top/later');
  await watching.sees('changed /top/later');
});

test('a folder behind a link is watched by the name that was asked for', async () => {
  await mkdir(join(folder, 'real'));
  await symlink('real', join(folder, 'link'));
  await using watching = await new Watching(join(folder, 'link')).ready();
  sh('mkdir real/d; touch real/d/x');
  await watching.sees('changed /link/d/x');
});

test('half uploads in a folder that is new are not told', async () => {
  await using watching = await new Watching().ready();
  sh('mkdir d; touch d/.caisson-0123456789abcdef.part d/x');
  await watching.sees('changed /d/x');
  expect(watching.changes.filter((change) => change.includes('.caisson-'))).toEqual([]);
});

test('the kernel drops events: watchers are told, and folders that were made meanwhile are watched', async () => {
  await using watching = await new Watching().ready();
  // This process is the guest, and reads nothing meanwhile.
  sh(
    'mkdir many; cd many; seq 1 20000 | xargs -n 5000 touch; cd ..; seq 1 20000 | xargs -n 5000 touch; mkdir -p new/deep',
  );
  await watching.has('overflow');
  await until('the new folder is watched', async () => {
    sh('touch new/deep/x');
    return watching.changes.includes('changed /new/deep/x');
  });
});

test('above 4,096 folders the watch says that it is incomplete, and goes on with those it has', async () => {
  sh('seq 1 4200 | xargs mkdir');
  await using watching = await new Watching().ready();
  await watching.has('incomplete');
  expect(watching.items).toContainEqual(expect.objectContaining({ type: 'incomplete', watchedFolders: 4_096 }));
  expect(await watchedOf(foldersOf(folder))).toBe(4_096);
  await watching.isStill();
});

test('excluded folders are told, and not gone into', async () => {
  sh('mkdir -p node_modules/x');
  await using watching = await new Watching(folder, { exclude: ['node_modules'] }).ready();
  sh('touch node_modules/x/y node_modules/z; mkdir -p a/node_modules/q');
  await watching.sees('changed /a/node_modules');
  await watching.isStill();
  expect(watching.changes.filter((change) => change.includes('node_modules/'))).toEqual([]);
});

test('a cursor of a watch that goes on is resumed; one of the future is not', async () => {
  await using first = await new Watching().ready();
  sh('touch a');
  await first.sees('changed /a');
  const { cursor } = first.items[0] ?? expect.fail('nothing was told');
  await using resumed = await new Watching(folder, { cursor }).ready();
  expect(resumed.items[0]).toMatchObject({ type: 'ready', resumed: true });
  await resumed.sees('changed /a');
  const [ring] = cursor.split('.');
  await using future = await new Watching(folder, { cursor: `${ring ?? ''}.999999` }).ready();
  expect(future.items[0]).toMatchObject({ type: 'ready', resumed: false });
});

test('eight folders are watched at once, and a ninth only in the place of one that nobody watches', async () => {
  await using guests = new AsyncDisposableStack();
  const own = guests.use(await runGuest());
  const client = (await own.client()).files;
  const leave = Array.from({ length: 8 }, () => new AbortController());
  const watch = async (name: string, signal?: AbortSignal): Promise<AsyncGenerator<WatchItem, void>> => {
    await mkdir(join(own.roots[0], name), { recursive: true });
    const items = client.watch({ path: name, recursive: true, exclude: [], cursor: null }, signal);
    expect((await items.next()).value).toMatchObject({ type: 'ready' });
    return items;
  };
  for (const [at, { signal }] of leave.entries()) await watch(`d${at}`, signal);
  await expect(watch('ninth')).rejects.toMatchObject({ code: 'LIMIT_REACHED' });
  leave[0]?.abort();
  await until('the ninth may come in', () =>
    watch('ninth').then(
      () => true,
      () => false,
    ),
  );
});

test('64 watch one folder, and not one more', async () => {
  await using all = new AsyncDisposableStack();
  for (let at = 0; at < 64; at++) await all.use(new Watching()).ready();
  await using more = new Watching();
  expect(await more.fails()).toMatchObject({ code: 'LIMIT_REACHED' });
});

test('a tree that nobody has watched for a minute is let go', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const watches = new Watches(new Confinement([guest.roots[0]]));
  try {
    sh('mkdir a b');
    const folders = foldersOf(folder);
    const reader = new AbortController();
    const items: WatchItem[] = [];
    const send = async (item: WatchItem): Promise<void> => void items.push(item);
    const path = { bytes: Buffer.from(folder), text: folder };
    const request = { path: folder, recursive: true, exclude: [], cursor: null };
    const run = watches.run(path, request, () => ({ gone: reader.signal, send, end: () => undefined }));
    while (items.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(await watchedOf(folders)).toBe(3);
    reader.abort();
    await run;
    vi.advanceTimersByTime(59_000);
    expect(await watchedOf(folders)).toBe(3);
    vi.advanceTimersByTime(2_000);
    expect(await watchedOf(folders)).toBe(0);
  } finally {
    vi.useRealTimers();
    watches.close();
  }
});

test('nothing of what was watched is left when the guest stops', async () => {
  const own = await runGuest();
  const folders = foldersOf(own.roots[0]);
  const client = (await own.client()).files;
  const items = client.watch({ path: '', recursive: true, exclude: [], cursor: null });
  await items.next();
  expect(await watchedOf(folders)).toBe(1);
  const ended = items.next();
  ended.catch(() => undefined);
  await own[Symbol.asyncDispose]();
  await expect(ended).rejects.toMatchObject({ code: 'WIRE_LOST' });
  expect(await watchedOf(folders)).toBe(0);
  expect(existsSync(own.roots[0])).toBe(false);
});
