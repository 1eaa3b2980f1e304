import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Confinement, type Pin } from '../../../src/guest/files/confinement.ts';
import { identify, NamesCache } from '../../../src/guest/files/names-cache.ts';
import { Pacer } from '../../../src/guest/files/pacer.ts';
import { maxListNameBytes } from '../../../src/wire/contract/files.ts';
import type { FilesClient } from '../../../src/wire/files-client.ts';
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

const sh = (script: string): void => void execFileSync('sh', ['-ec', script], { cwd: folder });

interface Page {
  readonly names: readonly string[];
  readonly next: string | null;
}
async function page(after: string | null, limit: number, recursive = false): Promise<Page> {
  const { entries, next } = await files.list(Buffer.from(folder), {
    recursive,
    limit,
    ...(after === null ? {} : { after: Buffer.from(after) }),
  });
  return { names: entries.map(({ path }) => path.slice(folder.length + 1)), next };
}

describe('pages', () => {
  test('what is made or removed between two pages is seen by the next one', async () => {
    sh('touch a b d e');
    expect(await page(null, 2)).toEqual({ names: ['a', 'b'], next: 'b' });
    sh('touch c; rm e');
    expect(await page('b', 9)).toEqual({ names: ['c', 'd'], next: null });
  });

  test('a page begins behind a name that is gone', async () => {
    sh('touch a b c d');
    expect(await page(null, 2)).toMatchObject({ next: 'b' });
    sh('rm b');
    expect(await page('b', 1)).toEqual({ names: ['c'], next: 'c' });
  });

  test('a folder that was made again under the same name is read again', async () => {
    sh('mkdir d; touch d/a d/b d/c');
    const { next } = await page(null, 2, true);
    expect(next).toBe('d/a');
    sh('rm -r d; mkdir d; touch d/x');
    expect(await page(next, 9, true)).toEqual({ names: ['d/x'], next: null });
  });

  test('pages of any size hold the same, folders within folders too', async () => {
    sh('mkdir -p a/b/c d; touch a/1 a/b/2 a/b/c/3 a/b/c/4 a.txt d/5 e');
    const { names } = await page(null, 100, true);
    expect(names).toHaveLength(11);
    for (const limit of [1, 2, 3, 5, 10]) {
      const found: string[] = [];
      let after: string | null = null;
      do {
        const part: Page = await page(after, limit, true);
        found.push(...part.names);
        after = part.next;
      } while (after !== null);
      expect(found).toEqual(names);
    }
  });

  test('a page ends where its names are too many bytes, and the next goes on there', async () => {
    const deep = [1, 2, 3].map((part) => String(part).repeat(250)).join('/');
    sh(`mkdir -p ${deep}; cd ${deep}; seq -f %0250g 1 1200 | xargs touch`);
    folder = join(folder, deep);
    const first = await page(null, 5_000);
    const bytes = first.names.reduce((sum, name) => sum + folder.length + 1 + name.length, 0);
    expect(bytes).toBeGreaterThanOrEqual(maxListNameBytes);
    expect(bytes).toBeLessThan(maxListNameBytes + 4_096);
    const found = [...first.names];
    for (let { next } = first; next !== null;) {
      const part = await page(next, 5_000);
      found.push(...part.names);
      ({ next } = part);
    }
    expect(found).toHaveLength(1_200);
  });
});

describe('the names that are kept for the next page', () => {
  let outer: string;
  let confinement: Confinement;
  beforeAll(async () => {
    outer = await mkdtemp(join(tmpdir(), 'caisson-names-'));
    confinement = new Confinement([outer]);
  });
  afterAll(() => rm(outer, { recursive: true }));
  const pinned = (name: string): Pin => {
    execFileSync('mkdir', ['-p', name], { cwd: outer });
    return confinement.pin(confinement.parse(Buffer.from(name)), { folder: true });
  };

  test('are used while the folder is as it was', async () => {
    using pin = pinned('same');
    const cache = new NamesCache();
    const kept = [Buffer.from('kept')];
    cache.keep(identify(pin), kept);
    expect(await cache.continued(pin, new Pacer())).toBe(kept);
    expect(await cache.continued(pin, new Pacer())).toBe(kept);
    execFileSync('touch', [join(outer, 'same/new')]);
    expect(await cache.continued(pin, new Pacer())).toEqual([Buffer.from('new')]);
  });

  test('are not used where the folder changed while it was read', async () => {
    using pin = pinned('changed');
    const cache = new NamesCache();
    const before = identify(pin);
    execFileSync('touch', [join(outer, 'changed/new')]);
    cache.keep(before, []);
    expect(await cache.continued(pin, new Pacer())).toEqual([Buffer.from('new')]);
  });

  test('are 500,000 at most: those that were used least lately go first', async () => {
    using one = pinned('one');
    using two = pinned('two');
    using three = pinned('three');
    const cache = new NamesCache();
    const many = (length: number): Buffer[] => Array.from({ length }, () => Buffer.from('kept'));
    for (const pin of [one, two]) cache.keep(identify(pin), many(200_000));
    await cache.continued(one, new Pacer());
    cache.keep(identify(three), many(200_000));
    expect(await cache.continued(one, new Pacer())).toHaveLength(200_000);
    expect(await cache.continued(two, new Pacer())).toEqual([]);
    expect(await cache.continued(three, new Pacer())).toHaveLength(200_000);
  });
});
