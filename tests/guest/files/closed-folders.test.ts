import { chmod, mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { FilesClient } from '../../../src/wire/files-client.ts';
import { asNobody } from '../as-nobody.ts';
import { type RunningGuest, runGuest } from '../running-guest.ts';

/** A folder that may be read and not entered: its names are known, and nothing about them. */
let closed: string;
let root: string;
let running: RunningGuest;
let files: FilesClient;
let asRoot: () => void;
beforeEach(async () => {
  asRoot = asNobody();
  running = await runGuest();
  ({ files } = await running.client());
  [root] = running.roots;
  closed = join(root, 'closed');
  await mkdir(closed);
  await writeFile(join(closed, 'x'), 'x');
});
afterEach(async () => {
  await chmod(closed, 0o700);
  await running[Symbol.asyncDispose]();
  asRoot();
});

const denied = () => ({ code: 'FILE_ACCESS_DENIED', details: { path: closed } });
const list = async (
  path: string,
  more: { readonly recursive: boolean; readonly limit?: number; readonly after?: Buffer },
) => await files.list(Buffer.from(path), { limit: 100, ...more });

test('it is not listed, and a listing of what is above it passes over it', async () => {
  await chmod(closed, 0o600);
  await writeFile(join(root, 'd'), '');
  await expect(list(closed, { recursive: false })).rejects.toMatchObject(denied());
  for (const after of [undefined, Buffer.from('closed'), Buffer.from('closed/x')]) {
    const { entries } = await list(root, { recursive: true, ...(after === undefined ? {} : { after }) });
    expect(entries.map(({ path }) => path)).toEqual(
      after === undefined ? [closed, join(root, 'd')] : [join(root, 'd')],
    );
  }
});

test('it is not removed', async () => {
  await chmod(closed, 0o600);
  await expect(files.remove({ path: closed, recursive: true })).rejects.toMatchObject(denied());
});

test('a watch of what is above it goes on, and does not say that changes were lost', async () => {
  const handle = await open(join(closed, 'x'), 'w');
  const items = files.watch({ path: root, recursive: true, exclude: [], cursor: null });
  await expect(items.next()).resolves.toMatchObject({ value: { type: 'ready' } });
  await chmod(closed, 0o600);
  await handle.write('more');
  await handle.close();
  for (;;) {
    const { value: item } = await items.next();
    // `incomplete` is true: its mode was a change of the folder, which could not be watched anew.
    if (item?.type === 'incomplete') continue;
    if (item?.type !== 'changes') throw new Error(`told instead: ${item?.type}`);
    if (item.changes.some(({ path }) => path === join(closed, 'x'))) break;
  }
});
