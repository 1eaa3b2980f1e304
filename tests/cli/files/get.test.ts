import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { get } from '../../../src/cli/files/get.ts';
import { type RunningWorkspace, startWorkspace } from '../../controlplane/workspace/running-workspace.ts';

let workspace: RunningWorkspace;
let local: string;

beforeAll(async () => {
  workspace = await startWorkspace();
  local = mkdtempSync(join(tmpdir(), 'caisson-get-'));
});
afterAll(async () => {
  rmSync(local, { recursive: true, force: true });
  await workspace[Symbol.asyncDispose]();
});

const remote = (path: string) => ({ client: workspace.client, agentId: workspace.agent.id, path });

test('two downloads, the second to a name for which the first planted links, write nothing outside', async () => {
  const [root] = workspace.roots;
  mkdirSync(join(root, 'site'));
  symlinkSync('.', join(root, 'site/u'));
  symlinkSync('u/u/u/../../../pwned.txt', join(root, 'site/notes.txt.caisson-part'));
  symlinkSync('u/u/u/../../../pwned.txt', join(root, 'site/notes.txt'));
  mkdirSync(join(root, 'n'));
  writeFileSync(join(root, 'n/notes.txt'), 'EVIL');
  writeFileSync(join(local, 'pwned.txt'), 'mine');
  mkdirSync(join(local, 'a/b'), { recursive: true });
  const copy = join(local, 'a/b/copy');
  await get(remote('site'), copy);
  await get(remote('n/notes.txt'), copy);
  expect(readFileSync(join(local, 'pwned.txt'), 'utf8')).toBe('mine');
  expect(readFileSync(join(copy, 'notes.txt'), 'utf8')).toBe('EVIL');
});

test('a file replaces a link here, and is not written through it', async () => {
  writeFileSync(join(workspace.roots[0], 'f'), 'new');
  writeFileSync(join(local, 'elsewhere'), 'old');
  symlinkSync('elsewhere', join(local, 'f'));
  await get(remote('f'), join(local, 'f'));
  expect(readFileSync(join(local, 'elsewhere'), 'utf8')).toBe('old');
  expect(readFileSync(join(local, 'f'), 'utf8')).toBe('new');
});

test('a file with a name of 255 bytes comes into a folder; a pipe is not replaced by a file', async () => {
  const name = 'y'.repeat(255);
  writeFileSync(join(workspace.roots[0], name), 'long');
  mkdirSync(join(local, 'into'));
  expect((await get(remote(name), join(local, 'into'))).to).toBe(join(local, 'into', name));
  expect(readdirSync(join(local, 'into'))).toEqual([name]);
  execFileSync('mkfifo', [join(local, 'pipe')]);
  await expect(get(remote(name), join(local, 'pipe'))).rejects.toMatchObject({ code: 'BAD_REQUEST' });
});

test('a folder goes into a folder that is there under its own name, and what is in it where that is asked for', async () => {
  const [root] = workspace.roots;
  mkdirSync(join(root, 'folder'));
  writeFileSync(join(root, 'folder/x'), 'theirs');
  const here = join(local, 'here');
  mkdirSync(here);
  writeFileSync(join(here, 'x'), 'mine');
  for (const _ of [1, 2])
    expect(await get(remote('folder'), here)).toMatchObject({ files: 1, to: join(here, 'folder') });
  expect(readFileSync(join(here, 'x'), 'utf8')).toBe('mine');
  expect(readFileSync(join(here, 'folder/x'), 'utf8')).toBe('theirs');
  const fresh = join(local, 'fresh');
  await get(remote('folder'), fresh);
  expect(readdirSync(fresh)).toEqual(['x']);
  for (const path of ['folder/', 'folder/.']) {
    const to = mkdtempSync(join(local, 'contents-'));
    await get(remote(path), to);
    expect(readdirSync(to)).toEqual(['x']);
  }
});

test('a folder is not unpacked through a link here, over a file, or to stdout', async () => {
  const [root] = workspace.roots;
  for (const name of ['linked', 'filed']) {
    mkdirSync(join(root, name));
    writeFileSync(join(root, name, 'mine'), 'EVIL');
  }
  const here = join(local, 'guarded');
  mkdirSync(join(here, 'own'), { recursive: true });
  writeFileSync(join(here, 'own/mine'), 'mine');
  writeFileSync(join(here, 'filed'), 'mine');
  symlinkSync('own', join(here, 'linked'));
  await expect(get(remote('linked'), here)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  await expect(get(remote('filed'), here)).rejects.toThrow('filed');
  await expect(get(remote('linked'), '-')).rejects.toMatchObject({ code: 'IS_A_DIRECTORY' });
  expect(readFileSync(join(here, 'own/mine'), 'utf8')).toBe('mine');
  expect(readFileSync(join(here, 'filed'), 'utf8')).toBe('mine');
});
