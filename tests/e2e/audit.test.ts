import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AuditRecord, CaissonClient } from '../../src/client/index.ts';
import { until } from '../until.ts';
import { modelKey, testSettings } from './support/control-plane.ts';
import { type ControlPlaneProcess, freePort, spawnControlPlane } from './support/control-plane-process.ts';

const undo = new AsyncDisposableStack();
let environment: Record<string, string>;
beforeAll(async () => {
  environment = { ...(await testSettings(undo)).environment, CAISSON_PORT: String(await freePort()) };
});
afterAll(() => undo.disposeAsync());

async function records(client: CaissonClient, action: string): Promise<readonly AuditRecord[]> {
  return (await client.audit.search.query({ action })).items;
}

test('what was done in a real sandbox is on record after kill -9, what was under way is INTERRUPTED, and no secret is in it', async () => {
  let controlPlane: ControlPlaneProcess = await spawnControlPlane(environment);
  await using _last = { [Symbol.asyncDispose]: async () => void (await controlPlane.stop()) };
  const first = controlPlane.client;
  const { id: agentId } = await first.agents.create.mutate({ name: 'worker', wait: true });
  const env = { API_KEY: 'hunter2' };
  const ran = await first.processes.exec.mutate({ agentId, command: ['sh', '-c', 'echo $API_KEY'], env });
  expect(ran).toMatchObject({ exitCode: 0 });
  await first.files.write.mutate({ agentId, path: 'notes', content: 'hunter3' });
  const { id: conversationId } = await first.conversations.open.mutate({ agentId });
  await first.runs.start.mutate({ conversationId, message: 'say hunter4' });
  const endless = first.processes.exec.mutate({ agentId, command: ['sleep', '600'] });
  endless.catch(() => undefined);
  await until('it runs', async () => {
    const { tree } = await first.processes.list.query({ agentId });
    return tree.some(({ command }) => command.includes('sleep'));
  });
  const { head } = await first.audit.verify.query({});
  await controlPlane.kill();

  controlPlane = await spawnControlPlane(environment);
  const { client } = controlPlane;
  expect(await client.audit.verify.query({ known: head })).toMatchObject({ broken: null, knownHeadFound: true });
  const [interrupted, done] = await records(client, 'processes.exec');
  expect(interrupted).toMatchObject({ outcome: 'INTERRUPTED', agentId, details: { command: ['sleep', '600'] } });
  expect(done).toMatchObject({
    outcome: 'ok',
    agentId,
    userName: 'admin',
    details: { command: ['sh', '-c', 'echo $API_KEY'], env: ['API_KEY'] },
  });
  expect(await records(client, 'files.write')).toMatchObject([{ agentId, details: { path: 'notes' } }]);
  expect(await records(client, 'runs.start')).toMatchObject([{ agentId, outcome: 'ok' }]);
  const text = await new Response(await client.audit.export()).text();
  for (const secret of ['hunter2', 'hunter3', 'hunter4', modelKey]) expect(text).not.toContain(secret);
});
