import { existsSync } from 'node:fs';
import { chmod, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type CheckpointId, newCheckpointId, newRunId } from '../../../src/kernel/ids.ts';
import { bytesOf, makeWorkspace } from './workspace.ts';

test('what a run changed is known, and undone, in a workspace that is no repository', async () => {
  await using workspace = await makeWorkspace();
  await workspace.write('kept.txt', 'kept\n');
  await workspace.write('src/edited.txt', 'one\ntwo\n');
  await workspace.write('src/gone.txt', 'gone\n');
  await workspace.write('tool.sh', '#!/bin/sh\n');
  const before = await workspace.tree();
  const runId = await workspace.run();
  await workspace.write('src/edited.txt', 'one\n2\nthree\n');
  await workspace.write('new/deep/added.bin', Buffer.from([0, 1, 2]));
  await workspace.remove('src/gone.txt');
  await chmod(join(workspace.folder, 'tool.sh'), 0o755);
  const after = await workspace.tree();
  const { changes, total, repositories } = await workspace.status(runId);
  expect(total).toBe(4);
  expect(repositories).toEqual([]);
  expect(changes).toMatchObject([
    { path: 'new/deep/added.bin', status: 'added', binary: true, size: 3, oldSize: null, added: null },
    { path: 'src/edited.txt', status: 'modified', binary: false, added: 2, removed: 1, size: 12, oldSize: 8 },
    { path: 'src/gone.txt', status: 'deleted', size: null, oldSize: 5, removed: 1 },
    { path: 'tool.sh', status: 'modified', executable: true },
  ]);
  const report = await workspace.restore(runId);
  expect(report).toMatchObject({ written: 3, removed: 1, kept: [], keptTotal: 0 });
  expect(await workspace.tree()).toEqual(before);
  expect((await workspace.status(runId)).total).toBe(0);

  expect(await workspace.restore(report.undo)).toMatchObject({ written: 3, removed: 1 });
  expect(await workspace.tree()).toEqual(after);
});

test('an empty workspace costs no git, and is a checkpoint like any other', async () => {
  await using workspace = await makeWorkspace();
  const first = await workspace.run();
  expect(existsSync(join(workspace.home, '.caisson', 'checkpoints', 'index'))).toBe(false);
  await workspace.write('made.txt', 'made\n');
  const second = await workspace.run();
  await workspace.remove('made.txt');
  const third = await workspace.run();
  expect((await workspace.status(first)).total).toBe(0);
  expect((await workspace.status(second)).changes).toMatchObject([{ path: 'made.txt', status: 'deleted' }]);
  await workspace.restore(second);
  expect(await workspace.tree()).toEqual({ 'made.txt': 'file made\n' });
  await workspace.restore(third);
  expect(await workspace.tree()).toEqual({});
  await workspace.restore(second);
  expect(await workspace.restore(first)).toMatchObject({ removed: 1 });
  expect(await workspace.tree()).toEqual({});
});

test('only what is named is restored, and the rest stays as it is', async () => {
  await using workspace = await makeWorkspace();
  await workspace.write('a/one', '1');
  await workspace.write('a/two', '1');
  await workspace.write('ab', '1');
  const runId = await workspace.run();
  for (const path of ['a/one', 'a/two', 'ab', 'a/new']) await workspace.write(path, '2');
  expect((await workspace.status(runId, ['a'])).changes.map(({ path }) => path)).toEqual(['a/new', 'a/one', 'a/two']);
  expect(await workspace.restore(runId)).toMatchObject({ written: 3, removed: 1 });
  for (const path of ['a/two', 'ab']) await workspace.write(path, '2');
  expect(await workspace.restore(runId, [`${workspace.folder}/a/two`])).toMatchObject({ written: 1, removed: 0 });
  expect(await workspace.tree()).toEqual({ 'a/one': 'file 1', 'a/two': 'file 1', ab: 'file 2' });
  for (const path of ['../x', '/etc/passwd', 'a/../../x']) {
    await expect(workspace.restore(runId, [path])).rejects.toMatchObject({ code: 'PATH_FORBIDDEN' });
  }
});

test('ignored files are neither kept nor compared nor removed', async () => {
  await using workspace = await makeWorkspace();
  await workspace.write('.gitignore', 'node_modules/\n*.log\n');
  await workspace.write('node_modules/p/index.js', 'old');
  await workspace.write('a.txt', 'a');
  const runId = await workspace.run();
  await workspace.write('node_modules/p/index.js', 'new');
  await workspace.write('node_modules/q/index.js', 'new');
  await workspace.write('debug.log', 'new');
  await workspace.write('a.txt', 'b');
  expect((await workspace.status(runId)).changes.map(({ path }) => path)).toEqual(['a.txt']);
  await workspace.restore(runId);
  expect(await workspace.tree()).toMatchObject({
    'node_modules/p/index.js': 'file new',
    'node_modules/q/index.js': 'file new',
    'debug.log': 'file new',
    'a.txt': 'file a',
  });
});

test('a file that was ignored before the run is not taken for one that the run added', async () => {
  await using workspace = await makeWorkspace();
  await workspace.write('.gitignore', 'secret.env\n');
  await workspace.write('secret.env', 'mine');
  const runId = await workspace.run();
  await workspace.remove('.gitignore');
  await workspace.write('added', 'x');
  const report = await workspace.restore(runId);
  expect(report.kept).toEqual([{ path: 'secret.env', reason: 'ignored' }]);
  expect(await workspace.tree()).toEqual({ '.gitignore': 'file secret.env\n', 'secret.env': 'file mine' });
});

test('what is overwritten although it is ignored now comes back with the undo', async () => {
  await using workspace = await makeWorkspace();
  await workspace.write('data.txt', 'before');
  const runId = await workspace.run();
  await workspace.remove('data.txt');
  await workspace.run(); // a checkpoint without the file
  await workspace.write('.gitignore', 'data.txt\n');
  await workspace.write('data.txt', 'after, and ignored');
  const { undo } = await workspace.restore(runId);
  expect(await workspace.tree()).toEqual({ 'data.txt': 'file before' });
  await workspace.restore(undo);
  expect((await workspace.tree())['data.txt']).toBe('file after, and ignored');
});

test('files that are too large are named, and left alone', async () => {
  await using workspace = await makeWorkspace();
  const large = join(workspace.folder, 'large.bin');
  await writeFile(large, '');
  await truncate(large, 32 * 1024 * 1024 + 1);
  await workspace.write('grows.bin', 'small');
  const runId = await workspace.run();
  await truncate(join(workspace.folder, 'grows.bin'), 33 * 1024 * 1024);
  await truncate(large, 3);
  const status = await workspace.status(runId);
  expect(status.leftOut).toEqual([{ path: 'grows.bin', reason: 'too_large' }]);
  expect(status.changes).toMatchObject([{ path: 'large.bin', status: 'modified' }]);
  const [checkpoint] = await workspace.changes.checkpoints();
  expect(checkpoint).toMatchObject({
    id: runId,
    leftOut: [{ path: 'large.bin', reason: 'too_large' }],
    leftOutTotal: 1,
  });
  expect((await workspace.restore(runId)).kept.toSorted((a, b) => (a.path < b.path ? -1 : 1))).toEqual([
    { path: 'grows.bin', reason: 'unsaved' },
    { path: 'large.bin', reason: 'left_out' },
  ]);
  expect(Object.keys(await workspace.tree())).toEqual(['grows.bin', 'large.bin']);
});

test('a folder that took the place of a file goes, but not what is ignored in it', async () => {
  await using workspace = await makeWorkspace();
  await workspace.write('.gitignore', '*.o\n');
  await workspace.write('one', 'file');
  await workspace.write('two', 'file');
  await workspace.write('dir/inner', 'file');
  const runId = await workspace.run();
  for (const path of ['one', 'two', 'dir']) await workspace.remove(path);
  await workspace.write('one/inner', 'x');
  await workspace.write('two/inner', 'x');
  await workspace.write('two/kept.o', 'ignored');
  await symlink('/etc', join(workspace.folder, 'dir'));
  const { kept } = await workspace.restore(runId);
  expect(kept).toEqual([{ path: 'two', reason: 'in_the_way' }]);
  expect(await workspace.tree()).toEqual({
    '.gitignore': 'file *.o\n',
    'dir/inner': 'file file',
    one: 'file file',
    'two/kept.o': 'file ignored',
  });
});

test('checkpoints are listed, bounded, and outlive the guest', async () => {
  await using workspace = await makeWorkspace();
  await workspace.write('f', '1');
  const first = await workspace.run();
  await workspace.write('f', '2');
  const { undo } = await workspace.restore(first);
  await using restarted = await makeWorkspace({ workspace: workspace.folder, home: workspace.home });
  expect(await restarted.changes.checkpoints()).toMatchObject([
    { id: undo, kind: 'restore', failure: null },
    { id: first, kind: 'run', failure: null },
  ]);
  await workspace.write('f', '3');
  restarted.changes.turnStarted(first); // asked for again by a control plane that does not know
  await restarted.changes.beforeAnswers();
  await restarted.restore(first);
  expect(await workspace.read('f')).toBe('1');
  let last: CheckpointId = undo;
  for (let i = 0; i < 100; i++) last = (await restarted.restore(last)).undo;
  expect(await restarted.changes.checkpoints()).toHaveLength(100);
  await expect(restarted.restore(first)).rejects.toMatchObject({ code: 'CHECKPOINT_NOT_FOUND' });
});

test('a restore waits for no run, and changes nothing while one is under way', async () => {
  await using workspace = await makeWorkspace();
  await workspace.write('f', '1');
  const runId = await workspace.run();
  await workspace.write('f', '2');
  const request = { checkpoint: runId, paths: [] };
  await expect(workspace.changes.restore({ ...request, force: false }, () => runId)).rejects.toMatchObject({
    code: 'RUN_UNDER_WAY',
    details: { runId },
  });
  expect(await workspace.read('f')).toBe('2');
  await workspace.changes.restore({ ...request, force: true }, () => runId);
  expect(await workspace.read('f')).toBe('1');
});

test('a checkpoint that nobody took is not found, and says why where it is known', async () => {
  await using workspace = await makeWorkspace({ checkpointTimeoutMs: 0 });
  for (const id of [newRunId(), newCheckpointId()]) {
    await expect(workspace.status(id)).rejects.toMatchObject({ code: 'CHECKPOINT_NOT_FOUND' });
  }
  for (let i = 0; i < 2_000; i++) await workspace.write(`f${i}`, 'x');
  const late = await workspace.run();
  await expect(workspace.restore(late)).rejects.toMatchObject({
    code: 'CHECKPOINT_NOT_FOUND',
    message: expect.stringContaining('took longer than 0 s'),
  });
  expect(await workspace.changes.checkpoints()).toMatchObject([{ id: late, failure: expect.any(String) }]);
});

test('a store that was broken or removed is made anew', async () => {
  await using workspace = await makeWorkspace();
  await workspace.write('f', '1');
  await workspace.run();
  const store = join(workspace.home, '.caisson', 'checkpoints');
  await writeFile(join(store, 'index'), 'broken');
  await writeFile(join(store, 'index.lock'), '');
  await workspace.write('f', '2');
  const runId = await workspace.run();
  await workspace.write('f', '3');
  await workspace.restore(runId);
  expect(await workspace.read('f')).toBe('2');
  await rm(store, { recursive: true });
  const next = await workspace.run();
  await workspace.write('f', '4');
  await workspace.restore(next);
  expect(await workspace.read('f')).toBe('2');
  expect(Object.keys(await bytesOf(workspace.folder))).toEqual(['f']);
});
