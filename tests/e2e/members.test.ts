import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AgentEvent, CaissonError, type CaissonClient, createCaissonClient } from '../../src/client/index.ts';
import { until } from '../until.ts';
import { startTestControlPlane, type TestControlPlane } from './support/control-plane.ts';
import { Talk } from './support/talk.ts';

let plane: TestControlPlane;
beforeAll(async () => {
  plane = await startTestControlPlane();
});
afterAll(() => plane[Symbol.asyncDispose]());

async function newMember(user: string): Promise<{ readonly client: CaissonClient; readonly keyId: string }> {
  const { key, secret } = await plane.client.keys.create.mutate({ user, name: 'test' });
  return { client: createCaissonClient({ url: plane.url, apiKey: secret }), keyId: key.id };
}

/** The code that each call is refused with. */
async function refusals(calls: Readonly<Record<string, () => Promise<unknown>>>): Promise<Record<string, unknown>> {
  const refused = Object.entries(calls).map(async ([name, call]) => [
    name,
    await call().then(
      () => 'was answered',
      (thrown: unknown) => (thrown instanceof CaissonError ? thrown.code : thrown),
    ),
  ]);
  return Object.fromEntries(await Promise.all(refused));
}

async function firstOf(events: AsyncIterable<AgentEvent>): Promise<AgentEvent | undefined> {
  for await (const event of events) return event;
  return undefined;
}

test('a member finds nothing of what another has, by any call; an administrator does', async () => {
  const [{ client: ana }, { client: ben }] = [await newMember('ana'), await newMember('ben')];
  await using anas = await Talk.open(ana, 'same-name');
  await using bens = await Talk.open(ben, 'same-name');
  const runId = await anas.start('push');
  const { permissionId } = await anas.log.event(runId, 'permission.requested');
  const { agentId, conversationId } = anas;

  expect((await ben.agents.list.query()).items.map(({ id }) => id)).toEqual([bens.agentId]);
  expect((await ben.agents.get.query({ name: 'same-name' })).id).toBe(bens.agentId);
  expect((await ben.permissions.list.query()).items).toEqual([]);
  expect((await ben.keys.list.query()).items.map(({ user }) => user.name)).toEqual(['ben']);
  const message = 'say mine';
  const found = await refusals({
    'agents.get': () => ben.agents.get.query({ agentId }),
    'agents.status': () => ben.agents.status.query({ agentId }),
    'agents.history': () => ben.agents.history.query({ agentId }),
    'agents.sendMessage': () => ben.agents.sendMessage.mutate({ agentId, conversationId, message }),
    'agents.sendMessage, own agent': () =>
      ben.agents.sendMessage.mutate({ agentId: bens.agentId, conversationId, message }),
    'conversations.open': () => ben.conversations.open.mutate({ agentId }),
    'conversations.list': () => ben.conversations.list.query({ agentId }),
    'conversations.get': () => ben.conversations.get.query({ conversationId }),
    'conversations.close': () => ben.conversations.close.mutate({ conversationId }),
    'runs.start': () => ben.runs.start.mutate({ conversationId, message }),
    'runs.get': () => ben.runs.get.query({ runId }),
    'runs.wait': () => ben.runs.wait.query({ runId }),
    'runs.list': () => ben.runs.list.query({ agentId }),
    'runs.cancel': () => ben.runs.cancel.mutate({ runId }),
    'events.read': () => ben.events.read.query({ agentId }),
    'events.subscribe': () => firstOf(ben.subscribe({ agentId })),
    'permissions.list': () => ben.permissions.list.query({ agentId }),
    'permissions.respond': () => ben.permissions.respond.mutate({ permissionId, optionId: null }),
    'keys.create': () => ben.keys.create.mutate({ user: 'ana', name: 'stolen' }),
  });
  expect(found).toEqual({
    'agents.get': 'AGENT_NOT_FOUND',
    'agents.status': 'AGENT_NOT_FOUND',
    'agents.history': 'AGENT_NOT_FOUND',
    'agents.sendMessage': 'AGENT_NOT_FOUND',
    'agents.sendMessage, own agent': 'CONVERSATION_NOT_FOUND',
    'conversations.open': 'AGENT_NOT_FOUND',
    'conversations.list': 'AGENT_NOT_FOUND',
    'conversations.get': 'CONVERSATION_NOT_FOUND',
    'conversations.close': 'CONVERSATION_NOT_FOUND',
    'runs.start': 'CONVERSATION_NOT_FOUND',
    'runs.get': 'RUN_NOT_FOUND',
    'runs.wait': 'RUN_NOT_FOUND',
    'runs.list': 'AGENT_NOT_FOUND',
    'runs.cancel': 'RUN_NOT_FOUND',
    'events.read': 'AGENT_NOT_FOUND',
    'events.subscribe': 'AGENT_NOT_FOUND',
    'permissions.list': 'AGENT_NOT_FOUND',
    'permissions.respond': 'PERMISSION_NOT_FOUND',
    'keys.create': 'FORBIDDEN',
  });

  // Nothing of it changed anything, and neither does deleting, for which what is not there is no error.
  expect(await ben.agents.delete.mutate({ agentId })).toEqual({ agentId, existed: false });
  expect((await ana.runs.get.query({ runId })).state).toBe('awaiting_permission');
  const { items } = await plane.client.permissions.list.query();
  expect(items.map(({ id }) => id)).toEqual([permissionId]);
  expect((await plane.client.agents.get.query({ agentId })).id).toBe(agentId);
  await ana.permissions.respond.mutate({ permissionId, optionId: null });
  await anas.end(runId);
  expect((await bens.say('say mine')).said).toEqual(['mine']);
  expect(bens.log.events.filter((event) => JSON.stringify(event).includes(agentId))).toEqual([]);
});

test('the sender of a message is who holds the key', async () => {
  const { client } = await newMember('sender');
  const { principal } = await client.system.version.query();
  await using talk = await Talk.open(client, 'sender');
  const { run } = await talk.say('say hello');
  const { runId } = await plane.client.runs.start.mutate({ conversationId: talk.conversationId, message: 'say hello' });
  const byAdmin = await talk.end(runId);
  const admin = (await plane.client.system.version.query()).principal;
  expect([run.startedBy, byAdmin.run.startedBy]).toEqual([principal.userId, admin.userId]);
  const { items } = await client.agents.history.query({ agentId: talk.agentId });
  expect(items.map(({ senderId }) => senderId)).toEqual([principal.userId, null, admin.userId, null]);
});

test('a key that is revoked is refused at once, and what it had open ends', async () => {
  const { client, keyId } = await newMember('leaver');
  const agent = await client.agents.create.mutate({ name: 'left-behind', wait: true });
  const { id: conversationId } = await client.conversations.open.mutate({ agentId: agent.id });
  const received: AgentEvent[] = [];
  const subscription = (async () => {
    for await (const event of client.subscribe({ agentId: agent.id })) received.push(event);
  })();
  const ended = expect(subscription).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  const underWay = await client.runs.start.mutate({ conversationId, message: 'hold leaver' });
  const queued = await client.runs.start.mutate({ conversationId, message: 'say never' });
  await until('the model to speak', () => received.some(({ type }) => type === 'message.delta'));

  await plane.client.keys.revoke.mutate({ keyId });
  await ended;
  const { seq } = await plane.client.agents.status.query({ agentId: agent.id });
  await expect(client.agents.list.query()).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  await expect(client.runs.get.query({ runId: underWay.runId })).rejects.toMatchObject({ code: 'UNAUTHORIZED' });

  // What was under way goes on; what had not begun does not begin.
  plane.model.openGate('leaver');
  const wait = async (runId: string) => await plane.client.runs.wait.query({ runId });
  expect(await wait(underWay.runId)).toMatchObject({ status: 'ok' });
  expect(await wait(queued.runId)).toMatchObject({ error: { state: 'rejected', reason: 'access_revoked' } });
  expect(plane.model.requests.some(({ userText }) => userText === 'say never')).toBe(false);
  expect(received.every((event) => event.seq <= seq)).toBe(true);
  await plane.client.agents.delete.mutate({ agentId: agent.id });
});

test('an agent is worked on together: an editor answers, a viewer watches', async () => {
  const { client: owner } = await newMember('host');
  const [{ client: editor }, { client: viewer }] = [await newMember('helper'), await newMember('watcher')];
  await using talk = await Talk.open(owner, 'together');
  const { agentId, conversationId } = talk;
  await owner.agents.share.mutate({ agentId, user: 'helper', role: 'editor' });
  await owner.agents.share.mutate({ agentId, user: 'watcher', role: 'viewer' });
  const seen: string[] = [];
  const watching = (async () => {
    for await (const { type } of viewer.subscribe({ agentId })) seen.push(type);
  })();
  const ended = expect(watching).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
  const { runId } = await editor.runs.start.mutate({ conversationId, message: 'push' });
  const { permissionId } = await talk.log.event(runId, 'permission.requested');
  const answer = { permissionId, optionId: null };
  await expect(viewer.permissions.respond.mutate(answer)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  await editor.permissions.respond.mutate(answer);
  const { run } = await talk.end(runId);
  expect(run.startedBy).toBe((await editor.system.version.query()).principal.userId);
  await until('the viewer has seen the end', () => seen.includes('permission.resolved'));
  await editor.files.write.mutate({ agentId, path: 'note', content: 'by the editor' });
  expect((await viewer.files.read.query({ agentId, path: 'note' })).content).toBe('by the editor');
  await owner.agents.unshare.mutate({ agentId, user: 'watcher' });
  await ended;
});

test('a user who is disabled is out at once, with its runs, its terminals and its sandbox', async () => {
  const { client } = await newMember('dismissed');
  const { client: colleague } = await newMember('colleague');
  await using shared = await Talk.open(colleague, 'of-the-colleague');
  await colleague.agents.share.mutate({ agentId: shared.agentId, user: 'dismissed', role: 'editor' });
  const agent = await client.agents.create.mutate({ name: 'own', wait: true });
  const { id: conversationId } = await client.conversations.open.mutate({ agentId: agent.id });
  const own = await client.runs.start.mutate({ conversationId, message: 'hold own' });
  const abroad = await client.runs.start.mutate({ conversationId: shared.conversationId, message: 'hold abroad' });
  await until(
    'both are asked',
    () => plane.model.requests.filter(({ userText }) => userText.startsWith('hold')).length >= 2,
  );
  const { id: terminalId } = await client.terminals.open.mutate({ agentId: agent.id });
  const attachment = await client.terminals.attach({ agentId: agent.id, terminalId });
  const closed = expect(attachment.closed).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  const { principal } = await client.system.version.query();

  const { ended } = await plane.client.users.disable.mutate({ userId: principal.userId });
  expect(ended).toEqual({ keys: 1, runs: 2, sandboxes: 1 });
  await closed;
  await expect(client.agents.list.query()).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  const stateOf = async (runId: string) => (await plane.client.runs.wait.query({ runId })).status;
  expect([await stateOf(own.runId), await stateOf(abroad.runId)]).toEqual(['error', 'error']);
  const { agent: left } = await plane.client.agents.status.query({ agentId: agent.id });
  expect(left.sandbox.state).toBe('stopped');
  const running = (await plane.provider.list()).filter(({ state }) => state === 'running');
  expect(running.map(({ agentId }) => agentId)).not.toContain(agent.id);
  // The colleague's own work goes on.
  expect((await shared.say('say still here')).said).toEqual(['still here']);
  expect(await plane.client.users.delete.mutate({ userId: principal.userId, agents: 'delete' })).toMatchObject({
    deletedAgents: 1,
  });
});
