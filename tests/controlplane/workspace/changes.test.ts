import { mkdir, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { agentIdSchema, newCheckpointId, newRunId } from '../../../src/kernel/ids.ts';
import { changesBounds } from '../../../src/wire/contract/changes.ts';
import { caisson } from '../../cli/command.ts';
import { Person } from '../../cli/person.ts';
import { until } from '../../until.ts';
import { type RunningWorkspace, startWorkspace } from './running-workspace.ts';

let workspace: RunningWorkspace;
let conversationId: string;
beforeAll(async () => {
  workspace = await startWorkspace();
  conversationId = (await workspace.client.conversations.open.mutate({ agentId: workspace.agent.id })).id;
});
afterAll(() => workspace[Symbol.asyncDispose]());
afterEach(() => Person.allLeave());

const put = (name: string, content: string | Uint8Array) => writeFile(join(workspace.roots[0], name), content);

/** A run that is under way, with its checkpoint; `end` ends it. */
async function startRun(): Promise<{ runId: string; end: () => Promise<void> }> {
  const { client, agent, provider } = workspace;
  const { runId } = await client.runs.start.mutate({ conversationId, message: 'go on' });
  const harness = provider.running.get(agentIdSchema.parse(agent.id))?.harness;
  await until('the checkpoint', async () => {
    const { items } = await client.changes.checkpoints.query({ agentId: agent.id });
    return items.find(({ id }) => id === runId);
  });
  return {
    runId,
    async end() {
      const turn = [...(harness?.turns.entries() ?? [])].find(([id]) => id === runId);
      if (harness === undefined || turn === undefined) throw new Error('the harness has no such turn');
      turn[1].state = 'ended';
      const outcome = { state: 'completed', reason: 'end_turn', usage: null } as const;
      const request = turn[1].request;
      harness.sink.append({
        type: 'turn.ended',
        runId: turn[0],
        conversationId: request.session.conversationId,
        outcome,
      });
      await client.runs.wait.query({ runId });
    },
  };
}

test('what a run changed is shown and undone, and its owner is told in the log', async () => {
  const { client, agent, stranger } = workspace;
  await put('kept.txt', 'one\n');
  const { runId, end } = await startRun();
  await put('kept.txt', 'two\n');
  await put('added.txt', 'new\n');
  await expect(client.changes.restore.mutate({ runId })).rejects.toMatchObject({ code: 'RUN_UNDER_WAY' });
  await end();

  const since = { runId };
  const changes = [];
  for await (const change of client.readChanges({ agentId: agent.id, since })) changes.push(change.path);
  expect(changes).toEqual(['added.txt', 'kept.txt']);
  const patches = [];
  for await (const file of client.readDiff({ agentId: agent.id, since, paths: ['kept.txt'] })) patches.push(file.patch);
  expect(patches.join('')).toContain('-one\n+two\n');

  await expect(stranger.changes.restore.mutate({ runId })).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
  const { undo } = await client.changes.restore.mutate({ runId });
  const { agent: mine, seq } = await client.agents.status.query({ agentId: agent.id });
  const { events } = await client.events.read.query({ agentId: mine.id, after: seq - 1 });
  expect(events).toMatchObject([
    { type: 'workspace.restored', checkpoint: runId, undo, by: mine.ownerId, written: 1, removed: 1, runId: null },
  ]);
  const refused = stranger.changes.restore.mutate({ agentId: agent.id, checkpointId: undo });
  await expect(refused).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
  await client.changes.restore.mutate({ agentId: agent.id, checkpointId: undo });
  expect((await client.changes.status.query({ agentId: agent.id, since })).total).toBe(2);
});

test('bad input has a typed answer', async () => {
  const { client, agent } = workspace;
  const status = (since: Parameters<typeof client.changes.status.query>[0]['since'], paths: string[] = []) =>
    client.changes.status.query({ agentId: agent.id, since, paths });
  await expect(status({ runId: newRunId() })).rejects.toMatchObject({ code: 'CHECKPOINT_NOT_FOUND' });
  await expect(status({ checkpointId: newCheckpointId() })).rejects.toMatchObject({ code: 'CHECKPOINT_NOT_FOUND' });
  await expect(status('commit')).rejects.toMatchObject({ code: 'NO_REPOSITORY' });
  await expect(status({ runId: '../../x' })).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  await expect(client.changes.restore.mutate({ runId: newRunId() })).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
  const [newest] = (await client.changes.checkpoints.query({ agentId: agent.id })).items;
  const since = { checkpointId: newest?.id ?? '' };
  for (const path of ['../x', '/etc', '\u{dfff}']) {
    await expect(status(since, [path])).rejects.toMatchObject({
      code: path === '\u{dfff}' ? 'BAD_REQUEST' : 'PATH_FORBIDDEN',
    });
  }
});

test('the command line shows, restores, and says how to undo it', async () => {
  const { url, apiKey, agent } = workspace;
  const cli = (...args: string[]) => caisson(args, { CAISSON_URL: url, CAISSON_API_KEY: apiKey });
  await put('menu.txt', 'soup\n');
  const { runId, end } = await startRun();
  await end();
  await put('menu.txt', 'soup\nbread\n');
  await put('caf\u00e9.txt', Buffer.from('\xe9\n', 'latin1'));
  const newest = await cli('diff', agent.name);
  expect(newest.stderr).toBe(`(since the start of ${runId}: the workspace holds no git repository)\n`);
  expect(newest.stdout).toContain('\n soup\n+bread\n');
  expect((await cli('diff', agent.name, '--run', runId, '--stat')).stdout).toBe(
    'A caf\u00e9.txt  +1 -0\nM menu.txt  +1 -0\n2 files, 2 added, 0 removed lines\n',
  );
  const json = await cli('diff', agent.name, '--run', runId, '--json', 'menu.txt');
  expect(JSON.parse(json.stdout)).toMatchObject({ path: 'menu.txt', status: 'modified', added: 1 });
  expect((await cli('checkpoints', agent.name)).stdout).toContain(runId);

  const unasked = await cli('restore', agent.name, '--run', runId);
  expect([unasked.exitCode, unasked.stderr]).toEqual([1, expect.stringContaining('needs --yes')]);
  expect((await cli('restore', agent.name, '--yes')).stderr).toContain('Name either a run or a checkpoint');
  const restored = await cli('restore', agent.name, '--run', runId, '--yes');
  expect(restored.stdout).toBe('Restored worker: 1 file put back, 1 removed\n');
  const undo = /--checkpoint (chk-\w+)/.exec(restored.stderr)?.[1] ?? '';
  expect((await cli('diff', agent.name, '--run', runId)).stderr).toBe('Nothing has changed.\n');
  await cli('restore', agent.name, '--checkpoint', undo, '--yes', 'menu.txt');
  expect((await cli('diff', agent.name, '--run', runId, '--stat')).stdout).toContain('M menu.txt');
});

test('the undo of a restore of some paths undoes those and no others', async () => {
  const { url, apiKey, agent, client } = workspace;
  const { runId, end } = await startRun();
  await end();
  await mkdir(join(workspace.roots[0], '-o'), { recursive: true });
  for (const name of ["it's new", '-o/x']) await put(name, 'of the run\n');
  const cli = (...args: string[]) => caisson(args, { CAISSON_URL: url, CAISSON_API_KEY: apiKey });
  const paths = ["it's new", '-o'];
  const unasked = await cli('restore', agent.id, '--run', runId, '--force', '--', ...paths);
  const words = String.raw`--force -- 'it'\''s new' -o`;
  expect(unasked.stderr).toContain(`hint: caisson restore ${agent.id} --run ${runId} --yes ${words}\n`);
  const { stderr } = await cli('restore', agent.id, '--run', runId, '--yes', '--force', '--', ...paths);
  const [, undo = ''] = /--checkpoint (chk-\w+)/.exec(stderr) ?? [];
  expect(stderr).toContain(`(undo: caisson restore ${agent.id} --checkpoint ${undo} --yes ${words})\n`);
  const { seq } = await client.agents.status.query({ agentId: agent.id });
  const { events } = await client.events.read.query({ agentId: agent.id, after: seq - 1 });
  expect(events).toMatchObject([{ type: 'workspace.restored', undo, paths, removed: 2 }]);
  const since = { checkpointId: undo };
  const report = await client.changes.restore.mutate({ agentId: agent.id, ...since, paths });
  expect(report).toMatchObject({ paths, written: 2, removed: 0 });
  expect((await client.changes.status.query({ agentId: agent.id, since })).total).toBe(0);
});

test('the question before a restore tells files that go from files that come back', async () => {
  for (const name of ['asked/edited', 'asked/moved', 'asked/gone']) {
    await mkdir(join(workspace.roots[0], 'asked'), { recursive: true });
    await put(name, `${name}\n`.repeat(9));
  }
  const { runId, end } = await startRun();
  await end();
  await put('asked/edited', 'other\n');
  await rm(join(workspace.roots[0], 'asked/gone'));
  await rename(join(workspace.roots[0], 'asked/moved'), join(workspace.roots[0], 'moved'));
  for (const number of [1, 2, 3, 4, 5, 6]) await put(`asked/new${number}`, `${number}\n`);
  const environment = { CAISSON_URL: workspace.url, CAISSON_API_KEY: workspace.apiKey };
  const asked = async (paths: readonly string[], text: string): Promise<void> => {
    const person = new Person(['restore', 'worker', '--run', runId, ...paths], environment);
    await person.sees('[y/N]');
    expect(person.text.replaceAll(/\r+\n/g, '\n')).toContain(`${text} of worker as before run-`);
    person.type('n\r');
    expect(await person.ended()).toBe(1);
    expect(person.text).toContain('Nothing was restored.');
  };
  const back = 'put back: asked/edited, asked/gone, asked/moved\n';
  const removed = 'remove: asked/new1, asked/new2, asked/new3, asked/new4, asked/new5';
  await asked([], `${back}${removed} and 2 more\nPut back 3 files and remove 7 files`);
  await asked(['asked/'], `${back}${removed} and 1 more\nPut back 3 files and remove 6 files`);
  await asked(['moved'], 'remove: moved\nRemove 1 file');
  await asked(['asked/moved'], 'put back: asked/moved\nPut back 1 file');
  const done = await caisson(['restore', 'worker', '--run', runId, '--yes', 'asked'], environment);
  expect(done.stdout).toBe('Restored worker: 3 files put back, 6 removed\n');
});

test('a restore with nothing to restore takes no checkpoint, and names the paths where nothing has changed', async () => {
  await put('grown.bin', 'small\n');
  const { runId, end } = await startRun();
  await end();
  await put('here.txt', 'of the run\n');
  await truncate(join(workspace.roots[0], 'grown.bin'), changesBounds.fileBytes + 1);
  const environment = { CAISSON_URL: workspace.url, CAISSON_API_KEY: workspace.apiKey };
  const checkpoints = () => workspace.client.changes.checkpoints.query({ agentId: workspace.agent.id });
  const before = await checkpoints();
  const restore = (...args: string[]) => caisson(['restore', 'worker', '--run', runId, ...args], environment);
  const nothing = await restore('--yes', '--json', 'nowhere.txt', 'worker:nor-here');
  expect(nothing.stderr).toBe(
    'Nothing has changed since in nowhere.txt, nor-here; nothing to restore.\n(not compared: grown.bin, too large)\n',
  );
  expect(JSON.parse(nothing.stdout)).toMatchObject({ undo: null, written: 0, paths: ['nowhere.txt', 'nor-here'] });
  const diff = await caisson(['diff', 'worker', '--run', runId, 'nowhere.txt'], environment);
  expect(diff.stderr).toContain('Nothing has changed in nowhere.txt.\n');
  expect(await checkpoints()).toEqual(before);
  expect((await restore('--yes', 'worker:here.txt')).stdout).toBe('Restored worker: 0 files put back, 1 removed\n');
  await rm(join(workspace.roots[0], 'grown.bin'));
});

test('`caisson restore` names the folders that were added and stay, and only those', async () => {
  const [root] = workspace.roots;
  const folder = (name: string) => mkdir(join(root, name), { recursive: true });
  await folder('empty-before');
  await folder('with-files');
  await put('with-files/a.txt', 'one\n');
  const { runId, end } = await startRun();
  await rm(join(root, 'with-files'), { recursive: true });
  for (const name of ['with-files', 'deep/er', 'cloned/.git', 'filled']) await folder(name);
  await put('with-files/a.txt', 'one\n');
  await put('cloned/.git/HEAD', 'ref: refs/heads/main\n');
  await put('filled/a.txt', 'gone after the restore\n');
  await end();
  const environment = { CAISSON_URL: workspace.url, CAISSON_API_KEY: workspace.apiKey };
  const { exitCode, stderr } = await caisson(['restore', 'worker', '--run', runId, '--yes'], environment);
  expect([exitCode, stderr]).toEqual([0, expect.stringContaining('(undo: ')]);
  const [, names = ''] = /added folders stay, empty or with their \.git: (.*)\)/.exec(stderr) ?? [];
  expect(names.split(', ').toSorted()).toEqual(['cloned/', 'deep/']);
});
