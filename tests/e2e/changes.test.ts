import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestControlPlane, type TestControlPlane } from './support/control-plane.ts';
import { inside } from './support/inside.ts';
import { Talk } from './support/talk.ts';

let plane: TestControlPlane;
beforeAll(async () => {
  plane = await startTestControlPlane();
});
afterAll(() => plane[Symbol.asyncDispose]());

const sh = async (talk: Talk, script: string): Promise<string> => {
  const { stdout, stderr, exitCode } = await inside(plane.provider, talk.agentId, `cd /workspace && ${script}`);
  expect([exitCode, stderr]).toEqual([0, '']);
  return stdout;
};
const changed = async (talk: Talk, since: 'commit' | { runId: string }): Promise<string[]> => {
  const paths = [];
  for await (const { status, path } of talk.client.readChanges({ agentId: talk.agentId, since })) {
    paths.push(`${status} ${path}`);
  }
  return paths;
};

test('the first turn in a fresh workspace is checkpointed before its first tool call, shown, and undone', async () => {
  await using talk = await Talk.open(plane.client, 'fresh', { wait: false });
  const { run } = await talk.say('patch notes.txt: first');
  const since = { runId: run.id };
  expect(await changed(talk, since)).toEqual(['added notes.txt']);
  const patches = [];
  for await (const { patch } of talk.client.readDiff({ agentId: talk.agentId, since })) patches.push(patch);
  expect(patches.join('')).toContain('+++ b/notes.txt\n@@ -0,0 +1 @@\n+first\n');
  const { undo } = await talk.client.changes.restore.mutate(since);
  expect(await sh(talk, 'ls -A')).toBe('');
  await talk.client.changes.restore.mutate({ agentId: talk.agentId, checkpointId: undo });
  expect(await sh(talk, 'cat notes.txt')).toBe('first\n');
});

test('a run in a large repository is undone, without a touch to the history that it made', async () => {
  await using talk = await Talk.open(plane.client, 'large');
  await sh(
    talk,
    `git init -q app && cd app && for i in $(seq 4000); do echo $i > f$i; done &&
     echo '*.log' > .gitignore && git add -A && git commit -qm first && echo x > debug.log && echo mine >> f1`,
  );
  const before = await sh(talk, 'cd app && git rev-parse HEAD && git status --porcelain');
  const { run } = await talk.say(
    'run cd app && echo theirs > f2 && rm f3 && echo new > f4001 && echo y > debug.log && git commit -qam second',
  );
  const since = { runId: run.id };
  expect(await changed(talk, since)).toEqual(['modified app/f2', 'deleted app/f3', 'added app/f4001']);
  expect(await changed(talk, 'commit')).toEqual(['added app/f4001']);
  expect(await talk.client.changes.restore.mutate(since)).toMatchObject({ written: 2, removed: 1, kept: [] });
  expect(await sh(talk, 'cd app && cat f1 f2 f3 debug.log && git log --format=%s && git fsck')).toBe(
    '1\nmine\n2\n3\ny\nsecond\nfirst\n',
  );
  expect(before).toContain(' M f1');
  expect(await changed(talk, 'commit')).toEqual(['modified app/f2', 'added app/f3']);
});

test('a file that the agent may not read is named, and a restart of the sandbox keeps the checkpoints', async () => {
  await using talk = await Talk.open(plane.client, 'restarted');
  await sh(talk, 'echo secret > locked && chmod 000 locked && mkdir closed && echo x > closed/f && echo 1 > open');
  const { run } = await talk.say('run echo 2 > open');
  const { agentId } = talk;
  expect((await talk.client.changes.status.query({ agentId, since: { runId: run.id } })).leftOut).toEqual([
    { path: 'locked', reason: 'unreadable' },
  ]);
  await plane.provider.stop(agentId);
  const { items } = await talk.client.changes.checkpoints.query({ agentId });
  expect(items.map(({ id }) => id)).toEqual([run.id]);
  await sh(talk, 'chmod 500 closed && echo y > open');
  expect(await talk.client.changes.restore.mutate({ runId: run.id })).toMatchObject({ written: 1, removed: 0 });
  expect(await sh(talk, 'cat open && chmod 700 closed')).toBe('1\n');
});
