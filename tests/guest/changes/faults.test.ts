import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, statfs, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Git } from '../../../src/guest/changes/git.ts';
import { CheckpointStore } from '../../../src/guest/changes/store.ts';
import { temporaryName } from '../../../src/kernel/temporary-name.ts';
import { makeWorkspace } from './workspace.ts';

/** A file system of 16 MiB of its own; the tests run as root where they may mount. */
async function smallDisk(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'caisson-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', path]);
  return {
    path,
    async [Symbol.asyncDispose]() {
      execFileSync('umount', ['-l', path]);
      await rm(path, { recursive: true, force: true });
    },
  };
}

const fill = async (path: string): Promise<void> => {
  const { bavail, bsize } = await statfs(join(path, '..'));
  await writeFile(path, Buffer.alloc(bavail * bsize)).catch(() => undefined); // to the last byte
};

test.runIf(process.getuid?.() === 0)('a full disk fails the checkpoint, and harms no file in a restore', async () => {
  await using disk = await smallDisk();
  await using workspace = await makeWorkspace({}, disk.path);
  for (let i = 0; i < 20; i++) await workspace.write(`f${i}`, String(i).repeat(40_000));
  const before = await workspace.tree();
  const runId = await workspace.run();
  for (let i = 0; i < 20; i++) await workspace.write(`f${i}`, String(i).repeat(100));
  await workspace.status(runId); // the present is in the store
  const changed = await workspace.tree();
  await workspace.write('.gitignore', '/ballast\n');
  await workspace.status(runId);
  await fill(join(workspace.folder, 'ballast'));

  const failed = await workspace.run();
  await expect(workspace.restore(failed)).rejects.toMatchObject({ code: 'CHECKPOINT_NOT_FOUND' });
  await expect(workspace.restore(runId)).rejects.toMatchObject({ code: 'DISK_FULL' });
  const files = Object.entries(await workspace.tree()).filter(([path]) => path.startsWith('f'));
  for (const [path, content] of files) expect([before[path], changed[path]]).toContain(content);
  expect(files).toHaveLength(20);

  await workspace.remove('ballast');
  await workspace.restore(runId);
  expect(await workspace.tree()).toEqual(before);
});

test('a file too large for the limits of the sandbox is DISK_FULL', async () => {
  // A limit on the size of files, as of `ulimit -f`, in place of a quota.
  const root = await mkdtemp(join(tmpdir(), 'caisson-limit-'));
  try {
    const store = new CheckpointStore({ directory: join(root, 'store'), workspace: root });
    await store.open();
    const bin = join(root, 'bin');
    await mkdir(bin);
    await writeFile(join(bin, 'git'), '#!/bin/bash\nulimit -f 1\nPATH="${PATH#*:}" exec git "$@"\n', { mode: 0o755 });
    const path = process.env['PATH'];
    process.env['PATH'] = `${bin}:${path}`;
    let git;
    try {
      git = new Git({ directory: store.directory, workspace: root });
    } finally {
      process.env['PATH'] = path;
    }
    const noise = randomBytes(50_000);
    await expect(git.run({ args: ['hash-object', '-w', '--stdin'], input: noise })).rejects.toMatchObject({
      code: 'DISK_FULL',
    });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});

test('pipes, names that git cannot hold, and links are left alone', async () => {
  await using workspace = await makeWorkspace();
  await workspace.write('tracked', '1');
  await workspace.write('.gitmodules', '1');
  await workspace.write('.GIT/config', '1');
  const runId = await workspace.run();
  await workspace.remove('tracked');
  execFileSync('mkfifo', [join(workspace.folder, 'tracked')]);
  await workspace.remove('.gitmodules');
  await symlink('/etc/passwd', join(workspace.folder, '.gitmodules'));
  const { leftOut, changes } = await workspace.status(runId);
  expect(leftOut).toEqual([
    { path: '.GIT/config', reason: 'name' },
    { path: '.gitmodules', reason: 'name' },
    { path: 'tracked', reason: 'special' },
  ]);
  expect(changes).toEqual([]);
  expect((await workspace.restore(runId)).kept).toEqual([
    { path: '.gitmodules', reason: 'unsaved' },
    { path: 'tracked', reason: 'unsaved' },
  ]);
  expect(await workspace.tree()).toMatchObject({ '.gitmodules': '-> /etc/passwd', '.GIT/config': 'file 1' });
});

test('a workspace in which git hangs holds nobody up for long', async () => {
  await using workspace = await makeWorkspace({ checkpointTimeoutMs: 500 });
  execFileSync('mkfifo', [join(workspace.folder, '.gitignore')]);
  const runId = await workspace.run();
  expect(await workspace.changes.checkpoints()).toMatchObject([
    { id: runId, failure: 'The checkpoint took longer than 0.5 s.' },
  ]);
  await writeFile(join(workspace.folder, '.gitignore'), ''); // whoever reads the pipe goes on
  await workspace.remove('.gitignore');
  await expect(workspace.status('commit')).rejects.toMatchObject({ code: 'NO_REPOSITORY' });
});

test('without git in the sandbox, looking is refused and runs have no checkpoint', async () => {
  const path = process.env['PATH'];
  process.env['PATH'] = '/nonexistent';
  try {
    await using workspace = await makeWorkspace();
    await workspace.write('kept.txt', 'kept');
    const runId = await workspace.run();
    await expect(workspace.status(runId)).rejects.toMatchObject({
      code: 'CHECKPOINT_NOT_FOUND',
      message: expect.stringContaining('no git in the sandbox'),
    });
    await expect(workspace.status('commit')).rejects.toMatchObject({ code: 'CAPABILITY_UNSUPPORTED' });
  } finally {
    process.env['PATH'] = path;
  }
});

test('files that come and go while they are looked at do not fail a checkpoint', async () => {
  await using workspace = await makeWorkspace();
  for (let i = 0; i < 200; i++) await workspace.write(`still/${i}`, String(i));
  const stop = new AbortController();
  const churn = (async () => {
    for (let i = 0; !stop.signal.aborted; i++) {
      await workspace.write(`moving/${i % 10}`, String(i));
      await workspace.remove(`moving/${(i + 5) % 10}`).catch(() => undefined);
    }
  })();
  const runs = [];
  for (let i = 0; i < 5; i++) runs.push(await workspace.run());
  stop.abort();
  await churn;
  expect((await workspace.changes.checkpoints()).map(({ id, failure }) => [id, failure])).toEqual(
    runs.toReversed().map((id) => [id, null]),
  );
});

test('a git that somebody has stopped is ended all the same', async () => {
  const root = await mkdtemp(join(tmpdir(), 'caisson-stopped-'));
  const path = process.env['PATH'];
  try {
    await writeFile(join(root, 'git'), '#!/bin/sh\nkill -STOP $$\n', { mode: 0o755 });
    process.env['PATH'] = `${root}:${path}`;
    const git = new Git({ directory: join(root, 'store'), workspace: root });
    process.env['PATH'] = path;
    await expect(git.run({ args: ['status'], timeoutMs: 100 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  } finally {
    process.env['PATH'] = path;
    await rm(root, { recursive: true });
  }
});

test('what is on its way into the workspace is in no checkpoint, whatever its rules say, and a restore leaves it', async () => {
  await using workspace = await makeWorkspace();
  await workspace.write('.gitignore', '!.*\n!*\n');
  const runId = await workspace.run();
  const half = `sub/${temporaryName().toString()}`;
  await workspace.write(half, 'half an upload');
  await workspace.write('sub/whole', '1');
  expect((await workspace.status(runId)).changes.map(({ path }) => path)).toEqual(['sub/whole']);
  await workspace.restore(runId);
  expect(Object.keys(await workspace.tree())).toEqual(['.gitignore', half]);
});

test('what a guest that was killed left in the store is gone with the next one', async () => {
  await using workspace = await makeWorkspace();
  const directory = join(workspace.home, '.caisson', 'checkpoints');
  const left = [
    'rules-x/.gitignore',
    'index.lock',
    'gc.pid',
    'HEAD.new',
    'refs/caisson/x.new',
    'checkpoints/x.json.new',
    'objects/pack/tmp_pack_x',
    'objects/pack/.tmp-1-pack-x.pack',
  ];
  for (const name of left) {
    await mkdir(join(directory, name, '..'), { recursive: true });
    await writeFile(join(directory, name), '');
  }
  await workspace.write('a', '1');
  const runId = await workspace.run();
  expect(await workspace.changes.checkpoints()).toMatchObject([{ id: runId, failure: null }]);
  const names = await readdir(directory, { recursive: true });
  expect(names.filter((name) => left.includes(name) || name.startsWith('rules-'))).toEqual([]);
});

test('a pipe in place of attributes holds git up nowhere: what is below it is left out', async () => {
  await using workspace = await makeWorkspace();
  await workspace.write('a', '1');
  await workspace.write('sub/deep/b', '1');
  execFileSync('mkfifo', [join(workspace.folder, 'sub/.gitattributes')]);
  const runId = await workspace.run();
  await workspace.write('a', '2');
  const { changes, leftOut } = await workspace.status(runId);
  expect(changes.map(({ path }) => path)).toEqual(['a']);
  expect(leftOut).toEqual([{ path: 'sub/deep/b', reason: 'special' }]);
});
