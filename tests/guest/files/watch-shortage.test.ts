import type * as Fs from 'node:fs';
import { mkdtempSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Confinement } from '../../../src/guest/files/confinement.ts';
import { Watches } from '../../../src/guest/files/watches.ts';
import type { WatchItem } from '../../../src/wire/contract/files.ts';

/** What the kernel answers to the watches after the first `allowed`: all that is watched by this user has used them up. */
const kernel = vi.hoisted(() => ({ refusal: '', allowed: 0 }));
vi.mock('node:fs', async (load) => {
  const fs = await load<typeof Fs>();
  const watch = (...args: Parameters<typeof fs.watch>): Fs.FSWatcher => {
    if (kernel.refusal === '' || kernel.allowed-- > 0) return fs.watch(...args);
    throw Object.assign(new Error(`${kernel.refusal}: watch`), { code: kernel.refusal });
  };
  return { ...fs, watch };
});

let folder: string;
let watches: Watches;
let leave: AbortController;
beforeEach(() => {
  leave = new AbortController();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  folder = mkdtempSync(join(tmpdir(), 'caisson-shortage-'));
  watches = new Watches(new Confinement([folder]));
});
afterEach(async () => {
  leave.abort();
  watches.close();
  vi.useRealTimers();
  await rm(folder, { recursive: true });
});

function follow(): WatchItem[] {
  const items: WatchItem[] = [];
  const send = async (item: WatchItem): Promise<void> => void items.push(item);
  const path = { bytes: Buffer.from(folder), text: folder };
  const request = { path: folder, recursive: true, exclude: [], cursor: null };
  void watches.run(path, request, () => ({ gone: leave.signal, send, end: () => undefined }));
  return items;
}

const typesOf = (items: readonly WatchItem[]): string[] => items.map(({ type }) => type);

/** Lets `ms` pass again and again until it is so. Rejects after 20 s of the real clock. */
async function pass(ms: number, isSo: () => boolean): Promise<void> {
  const end = Date.now() + 20_000;
  while (!isSo()) {
    if (Date.now() > end) throw new Error('Waited 20 s in vain');
    vi.advanceTimersByTime(ms);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const sees = (items: readonly WatchItem[], name: string): boolean =>
  items.some((item) => item.type === 'changes' && item.changes.some(({ path }) => path === join(folder, name)));

test.for(['EMFILE', 'ENOSPC'])(
  '%s for the folder itself passes: it is watched 5 s later, and readers are told',
  async (refusal) => {
    Object.assign(kernel, { refusal, allowed: 0 });
    const items = follow();
    await pass(0, () => items.length === 2);
    expect(items[1]).toMatchObject({ type: 'incomplete', watchedFolders: 0 });
    await writeFile(join(folder, 'unseen'), '');
    kernel.refusal = '';
    await pass(1_000, () => typesOf(items).includes('overflow'));
    expect(typesOf(items).filter((type) => type !== 'changes')).toEqual([
      'ready',
      'incomplete',
      'complete',
      'overflow',
    ]);
    await writeFile(join(folder, 'seen'), '');
    await pass(50, () => sees(items, 'seen'));
  },
);

test('a tree that was short of watches is whole for those who come later, and its folders are gone through', async () => {
  await mkdir(join(folder, 'a/deep'), { recursive: true });
  await mkdir(join(folder, 'b'));
  Object.assign(kernel, { refusal: 'ENOSPC', allowed: 1 });
  const early = follow();
  await pass(0, () => early.length === 2);
  expect(early[1]).toMatchObject({ type: 'incomplete', watchedFolders: 1 });
  const still = follow();
  await pass(1_000, () => still.length === 2);
  expect(typesOf(still)).toEqual(['ready', 'incomplete']);
  kernel.refusal = '';
  await pass(1_000, () => typesOf(early).includes('complete'));
  const late = follow();
  await writeFile(join(folder, 'a/deep/x'), '');
  await writeFile(join(folder, 'b/y'), '');
  await pass(50, () => sees(late, 'a/deep/x') && sees(late, 'b/y'));
  expect(new Set(typesOf(late))).toEqual(new Set(['ready', 'changes']));
});
