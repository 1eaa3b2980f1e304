import { execFileSync } from 'node:child_process';
import { appendFile, chmod, mkdir, readdir, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { changesBounds } from '../../../src/wire/contract/changes.ts';
import { bytesOf, makeWorkspace, type TestWorkspace } from './workspace.ts';

/** A repository with one commit of what is there. */
function commit(workspace: TestWorkspace, folder: string): string {
  workspace.git(folder, 'init', '-q');
  workspace.git(folder, 'add', '-A');
  workspace.git(folder, 'commit', '-qm', 'first');
  return workspace.git(folder, 'rev-parse', 'HEAD').trim();
}

const paths = ({ changes }: { changes: readonly { path: string; status: string }[] }) =>
  changes.map(({ path, status }) => `${status} ${path}`);

test('since the last commit of the workspace', async () => {
  await using workspace = await makeWorkspace();
  await workspace.write('a.txt', 'a line\nanother\n');
  await workspace.write('sub/b.txt', 'b\n');
  const head = commit(workspace, '.');
  await workspace.write('c.txt', 'c\n');
  workspace.git('.', 'add', 'c.txt'); // staged counts as well: what is compared is the files
  await workspace.write('a.txt', 'a line\nchanged\n');
  workspace.git('.', 'mv', 'sub/b.txt', 'sub/renamed.txt');
  const before = await bytesOf(join(workspace.folder, '.git'));
  const status = await workspace.status('commit');
  expect(status.repositories).toEqual([{ path: '', commit: head }]);
  expect(paths(status)).toEqual(['modified a.txt', 'added c.txt', 'renamed sub/renamed.txt']);
  expect(status.changes.at(2)?.oldPath).toBe('sub/b.txt');
  expect(await bytesOf(join(workspace.folder, '.git'))).toEqual(before);
});

test('a workspace without a repository has no last commit; one without a commit has everything added', async () => {
  await using workspace = await makeWorkspace();
  await workspace.write('a', 'a');
  await expect(workspace.status('commit')).rejects.toMatchObject({ code: 'NO_REPOSITORY' });
  workspace.git('.', 'init', '-q');
  const status = await workspace.status('commit');
  expect(status.repositories).toEqual([{ path: '', commit: null }]);
  expect(paths(status)).toEqual(['added a']);
});

test('repositories in the workspace and in one another are compared each with its own commit', async () => {
  await using workspace = await makeWorkspace();
  await workspace.write('outside.txt', 'x');
  await workspace.write('one/a', '1');
  await workspace.write('one/inner/deep/b', '1');
  await workspace.write('two/c', '1');
  commit(workspace, 'one/inner/deep');
  await workspace.write('one/inner/deep/b', '2');
  commit(workspace, 'one');
  commit(workspace, 'two');
  await workspace.write('one/new', '1');
  const status = await workspace.status('commit');
  expect(status.repositories.map(({ path }) => path)).toEqual(['one', 'one/inner/deep', 'two']);
  expect(paths(status)).toEqual(['modified one/inner/deep/b', 'added one/new']);
});

test('what is committed although it is ignored is not taken for deleted', async () => {
  await using workspace = await makeWorkspace();
  await workspace.write('dist/forced.js', '1');
  workspace.git('.', 'init', '-q');
  workspace.git('.', 'add', '-A');
  await workspace.write('.gitignore', 'dist/\n');
  workspace.git('.', 'add', '-A');
  workspace.git('.', 'commit', '-qm', 'first');
  expect(paths(await workspace.status('commit'))).toEqual([]);
  await workspace.write('dist/forced.js', '2');
  expect(paths(await workspace.status('commit'))).toEqual(['modified dist/forced.js']);
});

test('what is committed although it is ignored, and too large to be taken in, is left out and not deleted', async () => {
  await using workspace = await makeWorkspace();
  await workspace.write('g/small.bin', '1');
  await workspace.write('g/big.bin', '');
  await truncate(join(workspace.folder, 'g/big.bin'), changesBounds.fileBytes + 1);
  await workspace.write('.gitignore', '*.bin\n');
  workspace.git('.', 'init', '-q');
  workspace.git('.', 'add', '-f', '-A');
  workspace.git('.', 'commit', '-qm', 'first');
  const leftOut = [{ path: 'g/big.bin', reason: 'too_large' }];
  for (const wanted of [[], ['g']]) {
    expect(await workspace.status('commit', wanted)).toMatchObject({ changes: [], leftOut, leftOutTotal: 1 });
  }
  await workspace.remove('g/big.bin');
  expect(paths(await workspace.status('commit'))).toEqual(['deleted g/big.bin']);
});

test('a run in cloned repositories is undone without a touch to their history, index or refs', async () => {
  await using workspace = await makeWorkspace();
  await workspace.write('app/main.ts', 'main');
  await workspace.write('app/vendor/lib/lib.ts', 'lib');
  commit(workspace, 'app/vendor/lib');
  commit(workspace, 'app');
  workspace.git('.', 'clone', '-q', '--bare', 'app', 'bare.git');
  await workspace.run();
  await workspace.write('app/main.ts', 'uncommitted');
  const before = await workspace.tree();
  const runId = await workspace.run();
  await workspace.write('app/main.ts', 'by the run');
  await workspace.write('app/vendor/lib/lib.ts', 'by the run');
  workspace.git('app', 'commit', '-qam', 'by the run');
  workspace.git('app', 'checkout', '-qb', 'other');
  workspace.git('app', 'push', '-q', '../bare.git', 'other');
  const folders = ['app/.git', 'app/vendor/lib/.git', 'bare.git'];
  const history = () => Promise.all(folders.map((folder) => bytesOf(join(workspace.folder, folder))));
  const theirs = await history();
  const status = await workspace.status(runId);
  expect(paths(status)).toEqual(['modified app/main.ts', 'modified app/vendor/lib/lib.ts']);
  expect(status.leftOut).toEqual([{ path: 'bare.git', reason: 'repository' }]);
  await workspace.restore(runId);
  expect(await history()).toEqual(theirs);
  const tree = await workspace.tree();
  const withoutHistory = (files: Record<string, string>) =>
    Object.fromEntries(Object.entries(files).filter(([path]) => !path.startsWith('bare.git/')));
  expect(withoutHistory(tree)).toEqual(withoutHistory(before));
});

test('a repository that a run clones goes with its files, but its history stays', async () => {
  await using workspace = await makeWorkspace();
  await workspace.write('a', '1');
  const runId = await workspace.run();
  await workspace.write('cloned/file', '1');
  commit(workspace, 'cloned');
  expect(paths(await workspace.status(runId))).toEqual(['added cloned/file']);
  await workspace.restore(runId);
  expect(await readdir(join(workspace.folder, 'cloned'))).toEqual(['.git']);
});

test('nothing of a hostile repository is run, and every byte is kept as it is', async () => {
  await using workspace = await makeWorkspace();
  const mark = join(workspace.home, 'mark');
  const script = join(workspace.home, 'script');
  await writeFile(script, `#!/bin/sh\necho "$0 $@" >> ${mark}\ncat\n`);
  await chmod(script, 0o755);
  const content = 'one\r\ntwo\n$Id$\n\tbinary?\n';
  await workspace.write('file.txt', content);
  await workspace.write('file.psd', content);
  const head = commit(workspace, '.');
  for (const [key, value] of Object.entries({
    'core.fsmonitor': script,
    'core.hooksPath': workspace.home,
    'core.autocrlf': 'true',
    'core.pager': script,
    'core.sshCommand': script,
    'filter.evil.clean': script,
    'filter.evil.smudge': script,
    'filter.evil.required': 'true',
    'diff.evil.textconv': script,
    'diff.evil.command': script,
    'diff.external': script,
    'merge.evil.driver': script,
    'alias.ls-files': `!${script}`,
    'uploadpack.packObjectsHook': script,
  })) {
    workspace.git('.', 'config', key, value);
  }
  for (const hook of [
    'post-index-change',
    'reference-transaction',
    'post-checkout',
    'pre-commit',
    'fsmonitor-watchman',
  ]) {
    for (const folder of [join(workspace.folder, '.git', 'hooks'), workspace.home]) {
      await mkdir(folder, { recursive: true });
      await symlink(script, join(folder, hook)).catch(() => undefined);
    }
  }
  await workspace.write(
    '.gitattributes',
    '* filter=evil text eol=crlf ident diff=evil merge=evil working-tree-encoding=UTF-16\n*.psd diff=evil -diff\n',
  );
  await writeFile(join(workspace.folder, '.git', 'info', 'attributes'), '* filter=evil text diff=evil\n');
  const before = await bytesOf(workspace.folder);
  const runId = await workspace.run();
  await workspace.write('file.txt', 'changed\r\n');
  await workspace.remove('file.psd');
  expect(paths(await workspace.status(runId))).toEqual(['deleted file.psd', 'modified file.txt']);
  const { files } = await workspace.changes.diff(
    { since: 'commit', paths: [], limit: 50, after: null, context: 3 },
    new AbortController().signal,
  );
  expect(files.map(({ path, binary }) => [path, binary])).toEqual([
    ['.gitattributes', false],
    ['file.psd', false],
    ['file.txt', false],
  ]);
  expect(files[2]?.patch).toContain('-one\r\n-two\n-$Id$\n');
  await workspace.restore(runId);
  expect(await bytesOf(workspace.folder)).toEqual(before);
  expect((await workspace.status('commit')).repositories).toEqual([{ path: '', commit: head }]);
  expect((await readdir(workspace.home)).includes('mark')).toBe(false);
});

test('a repository whose settings are a pipe is passed over, and holds up neither the others nor checkpoints', async () => {
  await using workspace = await makeWorkspace();
  await workspace.write('hangs/a', '1');
  await workspace.write('works/b', '1');
  commit(workspace, 'hangs');
  const head = commit(workspace, 'works');
  execFileSync('mkfifo', [join(workspace.home, 'pipe')]);
  await appendFile(
    join(workspace.folder, 'hangs/.git/config'),
    `[include]\n\tpath = ${join(workspace.home, 'pipe')}\n`,
  );
  const [status, runId] = await Promise.all([workspace.status('commit'), workspace.run()]);
  expect(status.repositories).toEqual([{ path: 'works', commit: head }]);
  expect(await workspace.changes.checkpoints()).toMatchObject([{ id: runId, failure: null }]);
});
