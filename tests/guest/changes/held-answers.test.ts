import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { newConversationId, newRunId } from '../../../src/kernel/ids.ts';
import { serveOutward } from '../../../src/wire/serve-outward.ts';
import { runGuest } from '../running-guest.ts';

const turn = (conversationId = newConversationId()) => ({
  session: { conversationId, sessionId: null, cwd: '/', title: 't', model: null, mode: null },
  content: [{ type: 'text' as const, text: 'go' }],
  timeoutMs: 60_000,
  idleTimeoutMs: 60_000,
  permissionTimeoutMs: 60_000,
});

test('the model answers an agent only when the checkpoint of its run has been taken', async () => {
  await using running = await runGuest();
  const client = await running.client();
  await client.takeLease(1);
  const wire = serveOutward(
    await running.socket('outward'),
    (stream) => {
      stream.resume();
      stream.respond({ ':status': 200 });
      stream.end('do it');
    },
    { onHandlerError: () => undefined },
  );
  await new Promise((resolve) => wire.session.ping(resolve)); // the guest holds its end
  const [workspace] = running.roots;
  await mkdir(join(workspace, 'src'));
  for (let i = 0; i < 1_000; i++) await writeFile(join(workspace, 'src', `${i}`), String(i));

  const runId = newRunId();
  await client.startTurn(runId, turn());
  // An agent: it asks, and acts as soon as it is answered.
  const answer = await fetch(`http://127.0.0.1:${running.guest.modelPort}/v1/responses`, { method: 'POST', body: '' });
  await writeFile(join(workspace, 'src', '7'), 'by the agent');
  expect(await answer.text()).toBe('do it');

  const [checkpoint] = await client.changes.checkpoints();
  expect(checkpoint).toMatchObject({ id: runId, failure: null });
  const { changes } = await client.changes.status({ since: runId, paths: [], limit: 10, after: null });
  expect(changes.map(({ path }) => path)).toEqual(['src/7']);

  await client.startTurn(runId, turn()); // asked for again: no second checkpoint
  await expect(client.changes.restore({ checkpoint: runId, paths: [], force: false })).rejects.toMatchObject({
    code: 'RUN_UNDER_WAY',
  });
  running.harness.cancelTurn(runId);
  expect(await client.changes.restore({ checkpoint: runId, paths: [], force: false })).toMatchObject({ written: 1 });
});

test('several turns at once each have their checkpoint', async () => {
  await using running = await runGuest();
  const client = await running.client();
  await client.takeLease(1);
  const runs = Array.from({ length: 8 }, () => newRunId());
  await Promise.all(runs.map((runId) => client.startTurn(runId, turn())));
  await client.changes.restore({ checkpoint: newRunId(), paths: [], force: true }).catch(() => undefined); // in its turn
  const kept = await client.changes.checkpoints();
  expect(kept.map(({ id }) => id).toSorted()).toEqual(runs.toSorted());
});
