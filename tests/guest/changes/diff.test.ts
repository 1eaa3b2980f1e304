import { execFileSync } from 'node:child_process';
import { chmod, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { assert as check, array, constantFrom, integer, property } from 'fast-check';
import { expect, test } from 'vitest';
import { PatchSplitter } from '../../../src/guest/changes/patch-splitter.ts';
import type { DiffPage, DiffRequest, FileDiff, Since } from '../../../src/wire/contract/changes.ts';
import { makeWorkspace, never, type TestWorkspace } from './workspace.ts';

async function diffOf(
  { changes }: TestWorkspace,
  since: Since,
  options: Partial<DiffRequest> = {},
): Promise<{ files: FileDiff[]; pages: DiffPage[] }> {
  const pages: DiffPage[] = [];
  for (let after: string | null = null; ;) {
    const page: DiffPage = await changes.diff({ since, paths: [], limit: 50, context: 3, ...options, after }, never);
    pages.push(page);
    if (page.nextAfter === null) return { files: pages.flatMap(({ files }) => files), pages };
    after = page.nextAfter;
  }
}

test('a diff is what git would write, and applies', async () => {
  await using workspace = await makeWorkspace();
  const large = Array.from({ length: 60 }, (_, i) => `line ${i}\n`);
  await workspace.write('edited', large.join(''));
  await workspace.write('moved', 'to be moved\nwithout\nchange\n');
  await workspace.write('gone', 'gone\n');
  await workspace.write('to-link', 'file\n');
  await workspace.write('program', 'x\n');
  await workspace.write('latin1', Buffer.from('caf\xe9\n', 'latin1'));
  await workspace.write('\nodd "name"', 'x\n');
  const before = await workspace.tree();
  const runId = await workspace.run();
  await workspace.write('edited', large.with(30, 'other\n').join(''));
  await rename(join(workspace.folder, 'moved'), join(workspace.folder, 'elsewhere'));
  await workspace.remove('gone');
  await workspace.remove('to-link');
  await symlink('target', join(workspace.folder, 'to-link'));
  await chmod(join(workspace.folder, 'program'), 0o755);
  await workspace.write('latin1', Buffer.from('caf\xe9\ncr\xe8me\n', 'latin1'));
  await workspace.write('\nodd "name"', 'y\n');
  await workspace.write('added', 'no end of line');
  const { files } = await diffOf(workspace, runId);
  expect(files.map(({ path, status }) => `${status} ${path}`)).toEqual([
    'modified \nodd "name"',
    'added added',
    'modified edited',
    'renamed elsewhere',
    'deleted gone',
    'modified latin1',
    'modified program',
    'modified to-link',
  ]);
  expect(files.find(({ path }) => path === 'latin1')).toMatchObject({ encoding: 'latin1', added: 1, removed: 0 });
  expect(files.every(({ cutBytes }) => cutBytes === 0)).toBe(true);
  const patch = Buffer.concat(files.map((file) => Buffer.from(file.patch, file.encoding)));
  const patchFile = join(workspace.home, 'patch');
  await writeFile(patchFile, patch);
  execFileSync('git', ['apply', '--reverse', patchFile], { cwd: workspace.folder });
  expect(await workspace.tree()).toEqual(before);
});

test('binary files are named, large diffs are cut at a line and say by how much, many files come in pages', async () => {
  await using workspace = await makeWorkspace();
  const runId = await workspace.run();
  await workspace.write('0.bin', Buffer.from([0, 255, 0, 1]));
  await workspace.write('1.huge', 'a line of text\n'.repeat(100_000));
  await workspace.write('2.long-line', 'x'.repeat(1_000_000));
  for (let i = 100; i < 220; i++) await workspace.write(`f${i}`, `${i}\n`.repeat(5_000));
  const { files, pages } = await diffOf(workspace, runId);
  expect(files.map(({ path }) => path)).toEqual([
    '0.bin',
    '1.huge',
    '2.long-line',
    ...Array.from({ length: 120 }, (_, i) => `f${100 + i}`),
  ]);
  expect(pages.length).toBeGreaterThan(3);
  expect(pages[0]?.total).toBe(123);
  for (const page of pages) {
    const bytes = page.files.reduce((sum, { patch }) => sum + Buffer.byteLength(patch), 0);
    expect(bytes).toBeLessThan(1.5 * 1024 * 1024);
  }
  const [binary, huge, longLine] = files;
  expect(binary).toMatchObject({ binary: true, patch: expect.stringContaining('Binary files /dev/null and b/0.bin') });
  expect(huge?.patch.endsWith('+a line of text\n')).toBe(true);
  expect(Buffer.byteLength(huge?.patch ?? '')).toBeLessThanOrEqual(256 * 1024);
  expect(Buffer.byteLength(huge?.patch ?? '') + (huge?.cutBytes ?? 0)).toBeGreaterThan(1_600_000);
  expect(longLine?.cutBytes).toBeGreaterThan(999_000);
});

test('a status of many files comes in pages that leave none out', async () => {
  await using workspace = await makeWorkspace();
  for (let i = 0; i < 30; i++) await workspace.write(`d${i % 3}/${i}\xff`, 'x');
  const runId = await workspace.run();
  await rm(workspace.folder, { recursive: true });
  await workspace.write('only', 'unlike the others');
  const seen: string[] = [];
  for (let after: string | null = null; ;) {
    const page = await workspace.changes.status({ since: runId, paths: [], limit: 7, after }, never);
    seen.push(...page.changes.map(({ path }) => path));
    expect(page.total).toBe(31);
    if (page.nextAfter === null) break;
    after = page.nextAfter;
  }
  expect(seen).toHaveLength(31);
  expect(new Set(seen).size).toBe(31);
});

test('patches are split at their headers, however the output is cut into chunks', () => {
  const lines = constantFrom(
    'diff --git a/x b/x\n',
    '+diff --git a/x b/x\n',
    ' diff --git\n',
    'dif\n',
    '@@ -1 +1 @@\n',
    '+\xff\n',
  );
  check(
    property(array(lines, { maxLength: 30 }), array(integer({ min: 1, max: 9 }), { minLength: 1 }), (written, cuts) => {
      const output = Buffer.from(`:raw\n\n${written.join('')}`, 'latin1');
      const splitter = new PatchSplitter(1_000);
      for (let at = 0, i = 0; at < output.length; i++) {
        const length = cuts[i % cuts.length] ?? 1;
        splitter.push(output.subarray(at, at + length));
        at += length;
      }
      const { raw, patches } = splitter.finish();
      expect(raw + patches.map(({ text, encoding }) => Buffer.from(text, encoding).toString('latin1')).join('')).toBe(
        output.toString('latin1'),
      );
      expect(patches).toHaveLength(written.filter((line) => line.startsWith('diff --git ')).length);
    }),
  );
});
