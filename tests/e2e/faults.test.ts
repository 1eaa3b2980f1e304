import Docker from 'dockerode';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AgentEvent } from '../../src/client/index.ts';
import { newAgentId } from '../../src/kernel/ids.ts';
import { until } from '../until.ts';
import { startTestControlPlane, type TestControlPlane } from './support/control-plane.ts';
import { inside } from './support/inside.ts';

let caisson: TestControlPlane;
const docker = new Docker();

beforeAll(async () => {
  caisson = await startTestControlPlane();
});
afterAll(() => caisson[Symbol.asyncDispose]());

async function newTalk(name: string) {
  const agent = await caisson.client.agents.create.mutate({ name, wait: true });
  const conversation = await caisson.client.conversations.open.mutate({ agentId: agent.id });
  const agentId = agent.id;
  const conversationId = conversation.id;
  return {
    agentId,
    start: async (message: string) => await caisson.client.runs.start.mutate({ conversationId, message }),
    say: async (message: string) =>
      await caisson.client.agents.sendMessage.mutate({ agentId, conversationId, message, timeoutMs: 45_000 }),
    wait: async (runId: AgentEvent['runId'] & string) => {
      await caisson.client.runs.wait.query({ runId, timeoutMs: 45_000 });
      return await caisson.client.runs.get.query({ runId });
    },
    events: async () => (await caisson.client.events.read.query({ agentId, after: 0, limit: 1_000 })).events,
    async until(type: AgentEvent['type']) {
      await until(type, async () => (await this.events()).some((event) => event.type === type));
    },
  };
}

test('a container that is killed in a turn interrupts the run; the next message finds workspace and conversation again', async () => {
  const talk = await newTalk('killed');
  await talk.say('write kept.txt and run cat on it');
  const { runId } = await talk.start('work for 60 seconds');
  await talk.until('run.started');
  await until(
    'a command runs',
    async () => (await talk.events()).filter(({ type }) => type === 'tool.started').length > 2,
  );
  await docker.getContainer(talk.agentId).kill();
  expect(await talk.wait(runId)).toMatchObject({ state: 'interrupted', reason: 'sandbox_lost' });

  const next = await talk.say('run cat kept.txt');
  expect(next.outcome.status).toBe('ok');
  expect(next.reply).toContain('Hello');
  const sessions = (await talk.events()).flatMap((event) => (event.type === 'session.opened' ? [event.how] : []));
  expect(sessions).toEqual(['new', expect.stringMatching(/^(loaded|resumed)$/)]);
  const incarnations = (await talk.events()).flatMap((event) =>
    event.type === 'sandbox.status' && event.incarnation !== null ? [event.incarnation] : [],
  );
  expect(new Set(incarnations).size).toBe(2);
});

test('a container that is stopped in a turn interrupts the run as well: its guest does not call that a failure', async () => {
  const talk = await newTalk('stopped');
  const { runId } = await talk.start('work for 60 seconds');
  await talk.until('tool.started');
  await docker.getContainer(talk.agentId).stop();
  expect(await talk.wait(runId)).toMatchObject({ state: 'interrupted', reason: 'sandbox_lost' });
  expect((await talk.say('say back')).reply).toBe('back');
});

test('a wire that is cut in a turn is taken up again, and nothing of the turn is lost or doubled', async () => {
  const talk = await newTalk('cut');
  const { runId } = await talk.start('work for 3 seconds');
  for (let cut = 0; cut < 3; cut++) {
    await until(
      `tool ${cut + 1}`,
      async () => (await talk.events()).filter(({ type }) => type === 'tool.started').length > cut,
    );
    await inside(caisson.provider, talk.agentId, 'pkill -9 socat').catch(() => undefined); // it cuts its own wire, too
  }
  expect((await talk.wait(runId)).state).toBe('completed');
  const events = await talk.events();
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, at) => at + 1));
  expect(events.filter(({ type }) => type === 'tool.completed')).toHaveLength(3);
  expect(events.filter(({ type }) => type === 'message.completed')).toHaveLength(4);
});

test('a harness that is killed in a turn fails the run, and the next message works', async () => {
  const talk = await newTalk('harness');
  const { runId } = await talk.start('work for 60 seconds');
  await talk.until('tool.started');
  await inside(caisson.provider, talk.agentId, "pkill -9 -f 'codex-acp' ; pkill -9 -x codex");
  expect(await talk.wait(runId)).toMatchObject({ state: 'failed', reason: 'harness_exited' });
  expect((await talk.say('say back')).reply).toBe('back');
});

test('a sandbox that is frozen is found by pings, thawed, and its turn goes on', async () => {
  const talk = await newTalk('frozen');
  const { runId } = await talk.start('work for 4 seconds');
  await talk.until('tool.started');
  await docker.getContainer(talk.agentId).pause();
  expect((await talk.wait(runId)).state).toBe('completed');
  expect((await talk.events()).filter(({ type }) => type === 'message.completed')).toHaveLength(5);
});

test('deleting an agent in the middle of a turn leaves no container, no volume and no row', async () => {
  const talk = await newTalk('deleted');
  await talk.start('work for 60 seconds');
  await talk.until('tool.started');
  await Promise.all([
    caisson.client.agents.delete.mutate({ agentId: talk.agentId }),
    caisson.client.agents.delete.mutate({ agentId: talk.agentId }),
  ]);
  expect(await caisson.provider.find(talk.agentId)).toBeUndefined();
  const { Volumes } = await docker.listVolumes();
  expect(Volumes.filter(({ Name }) => Name.startsWith(talk.agentId))).toEqual([]);
  await expect(talk.events()).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
});

test('an agent that is deleted while its sandbox starts leaves nothing behind', async () => {
  const agents = await Promise.all(
    [0, 30, 120, 300].map(async (pauseMs, index) => {
      const agent = await caisson.client.agents.create.mutate({ name: `brief-${index}` });
      const { promise, resolve } = Promise.withResolvers<void>();
      setTimeout(resolve, pauseMs); // different points of the start
      await promise;
      await caisson.client.agents.delete.mutate({ agentId: agent.id });
      return agent;
    }),
  );
  for (const { id } of agents) expect(await caisson.provider.find(id)).toBeUndefined();
});

test('a sandbox without a living agent is found and removed when a control plane starts', async () => {
  await using other = await startTestControlPlane();
  const orphan = newAgentId();
  const agent = await other.client.agents.create.mutate({ name: 'living', wait: true });
  const { image } = (await other.provider.find(agent.id)) ?? { image: '' };
  await other.provider.ensureRunning({
    agentId: orphan,
    image,
    limits: { cpus: 1, memoryBytes: 1 << 30, pids: 64 },
    environment: { CAISSON_AGENT_ID: orphan },
  });
  await other.controlPlane.close();
  const { startControlPlane } = await import('../../src/controlplane/index.ts');
  await using _again = await startControlPlane({
    environment: {
      CAISSON_PORT: '0',
      CAISSON_DATA_DIR: other.dataDir,
      CAISSON_INSTANCE: other.controlPlane.config.instance ?? '',
      CAISSON_SANDBOX_IMAGE: image,
    },
    version: 'test',
  });
  await until('the orphan is gone', async () => (await other.provider.find(orphan)) === undefined);
  expect((await other.provider.find(agent.id))?.state).toBe('running');
});

test('without an engine agents are made, their runs fail with what to do, and the control plane serves', async () => {
  const { openProvider } = await import('../../src/sandbox-providers/registry.ts');
  const host = process.env['DOCKER_HOST'];
  process.env['DOCKER_HOST'] = 'tcp://127.0.0.1:9';
  const unreachable = await openProvider('docker', { instance: 'unreachable' });
  if (host === undefined) delete process.env['DOCKER_HOST'];
  else process.env['DOCKER_HOST'] = host;
  await expect(unreachable.check()).rejects.toMatchObject({
    code: 'PROVIDER_UNAVAILABLE',
    hint: expect.stringContaining('doctor'),
  });
});

test('a missing image is named, and the next message after it was built works', async () => {
  await using other = await startTestControlPlane({ CAISSON_SANDBOX_IMAGE: 'caisson/no-such-image:0' });
  await expect(other.client.agents.create.mutate({ name: 'imageless', wait: true })).rejects.toMatchObject({
    code: 'SANDBOX_IMAGE_MISSING',
    message: expect.stringContaining('caisson/no-such-image:0'),
  });
  const agent = await other.client.agents.get.query({ name: 'imageless' });
  expect(agent.sandbox).toMatchObject({ state: 'failed', code: 'SANDBOX_IMAGE_MISSING' });
  const { id: conversationId } = await other.client.conversations.open.mutate({ agentId: agent.id });
  const sent = await other.client.agents.sendMessage.mutate({ agentId: agent.id, conversationId, message: 'hello' });
  expect(sent.outcome).toMatchObject({ status: 'error', run: { state: 'failed', reason: 'sandbox_start_failed' } });
});
