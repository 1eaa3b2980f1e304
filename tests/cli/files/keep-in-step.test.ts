import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { keepInStep } from '../../../src/cli/files/keep-in-step.ts';
import { startWorkspace } from '../../controlplane/workspace/running-workspace.ts';

test('with --delete a file may become a folder, and a folder a file; what is excluded stays', async () => {
  await using workspace = await startWorkspace();
  const local = await mkdtemp(join(tmpdir(), 'caisson-sync-'));
  const there = join(workspace.roots[0], 'p');
  const sync = async (): Promise<string[]> => {
    const remote = { client: workspace.client, agentId: workspace.agent.id, path: 'p' };
    await keepInStep(local, remote, { mayDelete: true, watch: false, exclude: ['node_modules'] });
    return (await readdir(there, { recursive: true })).toSorted();
  };
  try {
    await writeFile(join(local, 'file'), '1');
    await mkdir(join(local, 'folder/deep'), { recursive: true });
    await writeFile(join(local, 'folder/deep/x'), '1');
    await writeFile(join(local, 'folder/y'), '1');
    expect(await sync()).toEqual(['file', 'folder', 'folder/deep', 'folder/deep/x', 'folder/y']);
    await rm(join(local, 'file'));
    await mkdir(join(local, 'file'));
    await writeFile(join(local, 'file/in'), '2');
    await rm(join(local, 'folder'), { recursive: true });
    await writeFile(join(local, 'folder'), '2');
    expect(await sync()).toEqual(['file', 'file/in', 'folder']);
    await mkdir(join(there, 'file/node_modules'));
    await rm(join(local, 'file'), { recursive: true });
    expect(await sync()).toEqual(['file', 'file/node_modules', 'folder']);
  } finally {
    await rm(local, { recursive: true, force: true });
  }
});
