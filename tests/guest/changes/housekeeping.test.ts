import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Git } from '../../../src/guest/changes/git.ts';
import { Housekeeping } from '../../../src/guest/changes/housekeeping.ts';
import { CheckpointStore } from '../../../src/guest/changes/store.ts';
import { silentLogger } from '../../../src/kernel/logger.ts';
import { makeWorkspace, never } from './workspace.ts';

test('what is collected is what no checkpoint needs', async () => {
  await using workspace = await makeWorkspace();
  const runs = [await workspace.run()]; // of nothing
  const before = [await workspace.tree()];
  for (let i = 0; i < 5; i++) {
    for (let file = 0; file < 150; file++) await workspace.write(`f${file}`, `${i} ${file}`);
    runs.push(await workspace.run());
    before.push(await workspace.tree());
  }
  const store = new CheckpointStore({
    directory: join(workspace.home, '.caisson', 'checkpoints'),
    workspace: workspace.folder,
  });
  await store.open();
  const git = new Git({ directory: store.directory, workspace: workspace.folder });
  await new Housekeeping({ git, store, logger: silentLogger }).collect();
  const packs = await readdir(join(store.directory, 'objects', 'pack'));
  expect(packs.filter((name) => name.endsWith('.pack'))).toHaveLength(1);
  for (const [i, runId] of runs.entries()) {
    await workspace.restore(runId);
    expect(await workspace.tree()).toEqual(before[i]);
  }
});

test('a look that its caller gives up ends, and takes no one else along', async () => {
  await using workspace = await makeWorkspace();
  for (let i = 0; i < 3_000; i++) await writeFile(join(workspace.folder, String(i)), String(i));
  const gone = new AbortController();
  const request = { since: 'commit' as const, paths: [], limit: 10, after: null };
  const given = workspace.changes.status(request, gone.signal);
  const runId = workspace.run();
  gone.abort(new Error('gone'));
  await expect(given).rejects.toThrow('gone');
  await workspace.write('0', 'changed');
  const { changes } = await workspace.changes.status({ ...request, since: await runId }, never);
  expect(changes.length).toBeLessThanOrEqual(1); // written before or after the checkpoint
});

test('no more than a bounded number wait for a look', async () => {
  await using workspace = await makeWorkspace();
  const looks = Array.from({ length: 40 }, () =>
    workspace.changes
      .status({ since: 'commit', paths: [], limit: 10, after: null }, never)
      .catch((error: unknown) => error),
  );
  const codes = (await Promise.all(looks)).map((error) => (error as { code?: string }).code);
  expect(new Set(codes)).toEqual(new Set(['NO_REPOSITORY', 'LIMIT_REACHED']));
  expect(codes.filter((code) => code === 'NO_REPOSITORY')).toHaveLength(16);
});
