import type * as Fs from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { keepInStep } from '../../../src/cli/files/keep-in-step.ts';
import { put } from '../../../src/cli/files/put.ts';
import type { RemotePath } from '../../../src/cli/files/remote-path.ts';
import { pathBelow } from '../../../src/cli/files/half-file.ts';
import { type CaissonClient, createCaissonClient } from '../../../src/client/index.ts';
import { startCuttingRelay } from '../../client/cutting-relay.ts';
import { until } from '../../until.ts';
import { type RunningWorkspace, startWorkspace } from '../../controlplane/workspace/running-workspace.ts';

const watchers: Fs.FSWatcher[] = [];
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof Fs>();
  const watch = (...args: Parameters<typeof fs.watch>): Fs.FSWatcher => {
    const watcher = fs.watch(...args);
    watchers.push(watcher);
    return watcher;
  };
  return { ...fs, watch };
});

const once = { mayDelete: false, watch: false, exclude: [] };

/** Tells of each upload before it begins. */
function observed({ client, agent }: RunningWorkspace, onUpload: (path: string) => Promise<void>): RemotePath {
  const upload: CaissonClient['files']['upload'] = async (options) => {
    await onUpload(options.path);
    return await client.files.upload(options);
  };
  const files = new Proxy(client.files, {
    get: (all, name) => (name === 'upload' ? upload : (Reflect.get(all, name) as unknown)),
  });
  return { client: { ...client, files }, agentId: agent.id, path: 'p' };
}

test('with --delete, files and folders whose names are not UTF-8 stay, and they go up', async () => {
  await using workspace = await startWorkspace();
  const local = await mkdtemp(join(tmpdir(), 'caisson-sync-'));
  const remote = { client: workspace.client, agentId: workspace.agent.id, path: 'p' };
  const top = join(workspace.roots[0], 'p/');
  const there = async (): Promise<string[]> => {
    const names: string[] = [];
    for await (const { path } of workspace.client.files.listAll({
      agentId: remote.agentId,
      path: 'p',
      recursive: true,
    }))
      names.push(path);
    return names.map((path) => path.slice(top.length)).toSorted();
  };
  try {
    const folder = pathBelow(Buffer.from(local), Buffer.from('caf\xe9', 'latin1'));
    await mkdir(folder);
    for (const name of ['r\xe9sum\xe9', 'b']) await writeFile(pathBelow(folder, Buffer.from(name, 'latin1')), 'mine');
    await put(local, remote);
    const all = ['caf\udce9', 'caf\udce9/b', 'caf\udce9/r\udce9sum\udce9'];
    expect(await there()).toEqual(all);
    await keepInStep(local, remote, { ...once, mayDelete: true });
    expect(await there()).toEqual(all);
    await writeFile(pathBelow(folder, Buffer.from('\xff', 'latin1')), 'new');
    await keepInStep(local, remote, once);
    expect(await there()).toEqual([...all, 'caf\udce9/\udcff']);
  } finally {
    await rm(local, { recursive: true, force: true });
  }
});

test('what `put` has sent is not sent again, though archives have whole seconds; what has changed since is', async () => {
  await using workspace = await startWorkspace();
  const local = await mkdtemp(join(tmpdir(), 'caisson-sync-'));
  const sent: string[] = [];
  const remote = observed(workspace, async (path) => void sent.push(path));
  try {
    for (const name of ['a', 'b']) {
      await writeFile(join(local, name), '1');
      await utimes(join(local, name), 1_000.75, 1_000.75);
    }
    await put(local, remote);
    await keepInStep(local, remote, once);
    expect(sent).toEqual([]);
    await utimes(join(local, 'b'), 1_001.25, 1_001.25);
    await keepInStep(local, remote, once);
    expect(sent).toEqual(['p/b']);
  } finally {
    await rm(local, { recursive: true, force: true });
  }
});

test.for([
  ['became executable', (file) => chmod(file, 0o755)],
  ['is another of the same size, with an older time', (file) => rename(`${file}.old`, file)],
] satisfies readonly [string, (file: string) => Promise<void>][])(
  'a file that %s goes up again, also over an edit there, and then is the same',
  async ([, change]) => {
    await using workspace = await startWorkspace();
    const local = await mkdtemp(join(tmpdir(), 'caisson-sync-'));
    const sent: string[] = [];
    const remote = observed(workspace, async (path) => void sent.push(path));
    const [file, there] = [join(local, 'a'), join(workspace.roots[0], 'p/a')];
    const exclude = ['a.old'];
    try {
      await writeFile(file, 'new\n', { mode: 0o644 });
      await utimes(file, 2_000.5, 2_000.5);
      await writeFile(`${file}.old`, 'old\n', { mode: 0o644 });
      await utimes(`${file}.old`, 1_000.123, 1_000.123);
      await keepInStep(local, remote, { ...once, exclude });
      await writeFile(there, 'own\n');
      await utimes(there, 2_000.5, 2_000.5);
      await change(file);
      for (const _ of [1, 2]) await keepInStep(local, remote, { ...once, exclude });
      expect(sent).toEqual(['p/a', 'p/a']);
      expect(await readFile(there, 'utf8')).toBe(await readFile(file, 'utf8'));
      const [mine, sandboxed] = [await stat(file), await stat(there)];
      expect([sandboxed.mode, sandboxed.mtimeMs]).toEqual([mine.mode, Math.floor(mine.mtimeMs)]);
    } finally {
      await rm(local, { recursive: true, force: true });
    }
  },
);

test('with --watch, what changes during the first upload comes too', async () => {
  await using workspace = await startWorkspace();
  const local = await mkdtemp(join(tmpdir(), 'caisson-sync-'));
  const sent: string[] = [];
  const remote = observed(workspace, async (path) => {
    sent.push(path);
    if (sent.length === 2) await writeFile(join(local, sent[0]?.slice(2) ?? ''), 'saved meanwhile');
  });
  try {
    for (const name of ['a', 'b']) await writeFile(join(local, name), '1');
    const watching = keepInStep(local, remote, { ...once, watch: true });
    const gone = expect(watching).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    await until('the change', async () => {
      const now = await readFile(join(workspace.roots[0], sent[0] ?? 'p/a'), 'utf8').catch(() => undefined);
      return now === 'saved meanwhile';
    });
    await rm(local, { recursive: true });
    await gone;
  } finally {
    await rm(local, { recursive: true, force: true });
  }
});

test('with --watch it goes on when the control plane is away, at first and later, for 5 minutes', async () => {
  await using workspace = await startWorkspace();
  await using relay = await startCuttingRelay(workspace.url);
  const local = await mkdtemp(join(tmpdir(), 'caisson-sync-'));
  const client = createCaissonClient({ url: relay.url, apiKey: workspace.apiKey });
  const goAway = async (whileAway: () => Promise<void>): Promise<void> => {
    const { cuts } = relay;
    relay.lifeOf = () => 0;
    relay.cutAll();
    await whileAway();
    await until('it is tried again', () => relay.cuts > cuts + 1);
  };
  const arrives = async (name: string): Promise<void> => {
    relay.lifeOf = () => undefined;
    await until(`${name} is there`, async () => (await readdir(join(workspace.roots[0], 'p'))).includes(name));
  };
  try {
    await mkdir(join(workspace.roots[0], 'p'));
    await writeFile(join(local, 'a'), '1');
    let watching: Promise<void> | undefined;
    await goAway(async () => {
      watching = keepInStep(local, { client, agentId: workspace.agent.id, path: 'p' }, { ...once, watch: true });
      watching.catch(() => undefined); // awaited below
    });
    await arrives('a');
    await goAway(() => writeFile(join(local, 'b'), '2'));
    await arrives('b');
    await goAway(() => writeFile(join(local, 'c'), '3'));
    const now = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => now() + 300_000);
    await expect(watching).rejects.toMatchObject({ code: 'CONTROL_PLANE_UNREACHABLE' });
  } finally {
    vi.restoreAllMocks();
    await rm(local, { recursive: true, force: true });
  }
});

test('a watch that fails while files go up ends the command with the reason', async () => {
  await using workspace = await startWorkspace();
  const local = await mkdtemp(join(tmpdir(), 'caisson-sync-'));
  const remote = observed(workspace, async () => {
    const reason = Object.assign(new Error('no space'), { code: 'ENOSPC', errno: -28, syscall: 'watch' });
    watchers.at(-1)?.emit('error', reason);
  });
  try {
    await writeFile(join(local, 'a'), '1');
    await expect(keepInStep(local, remote, { ...once, watch: true })).rejects.toMatchObject({
      code: 'BAD_REQUEST',
      message: 'On this machine: no space left on device.',
    });
    expect(await readFile(join(workspace.roots[0], 'p/a'), 'utf8')).toBe('1');
  } finally {
    await rm(local, { recursive: true, force: true });
  }
});

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

test('an edit of the same size while the file goes up is newer than what went up', async () => {
  await using workspace = await startWorkspace();
  const local = await mkdtemp(join(tmpdir(), 'caisson-sync-'));
  const file = join(local, 'a');
  const sent: string[] = [];
  const remote = observed(workspace, async (path) => {
    // As if it were saved right after it was read, and before the upload has ended.
    if (sent.push(path) === 1) setTimeout(() => void utimes(file, 1_000.5, 1_000.5), 0);
  });
  try {
    await writeFile(file, 'one');
    await utimes(file, 1_000.25, 1_000.25);
    await keepInStep(local, remote, once);
    await until('it is saved', async () => (await stat(file)).mtimeMs === 1_000_500);
    await keepInStep(local, remote, once);
    expect(sent).toEqual(['p/a', 'p/a']);
    await keepInStep(local, remote, once);
    expect(sent).toEqual(['p/a', 'p/a']);
    expect((await stat(join(workspace.roots[0], 'p/a'))).mtimeMs).toBe(1_000_500);
  } finally {
    await rm(local, { recursive: true, force: true });
  }
});
