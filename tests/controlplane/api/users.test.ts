import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AgentId, ConversationId } from '../../../src/kernel/ids.ts';
import { until } from '../../until.ts';
import { type Caller, type RunningServer, startServer } from '../running-server.ts';

let server: RunningServer;
beforeEach(async () => {
  server = await startServer();
});
afterEach(() => server[Symbol.asyncDispose]());

interface Invited {
  readonly user: { readonly id: string; readonly state: string };
  readonly invitation: string;
}

async function invite(input: object): Promise<Invited> {
  return (await server.mutate(server.admin, 'users.invite', input)).data as Invited;
}

async function accept(invitation: string): Promise<Caller> {
  const { data } = await server.mutate(null, 'users.accept', { invitation });
  const { secret } = data as { secret: string };
  return { secret, principal: await server.keys.authenticateSecret(secret) };
}

async function newAgent(caller: Caller, name: string): Promise<{ agentId: AgentId; conversationId: ConversationId }> {
  const made = await server.mutate(caller, 'agents.create', { name, wait: true });
  const { id: agentId } = made.data as { id: AgentId };
  const opened = await server.mutate(caller, 'conversations.open', { agentId });
  return { agentId, conversationId: (opened.data as { id: ConversationId }).id };
}

async function startRun(caller: Caller, conversationId: ConversationId): Promise<string> {
  const { data } = await server.mutate(caller, 'runs.start', { conversationId, message: 'hi' });
  return (data as { runId: string }).runId;
}

const runOf = async (runId: string): Promise<unknown> => (await server.query(server.admin, 'runs.get', { runId })).data;

describe('an invitation', () => {
  test('is exchanged for a key once', async () => {
    const { user, invitation } = await invite({ name: 'ida', role: 'auditor' });
    expect(user).toMatchObject({ name: 'ida', role: 'auditor', state: 'invited' });
    const ida = await accept(invitation);
    expect(ida.principal).toMatchObject({ userName: 'ida', role: 'auditor', mayIssue: false });
    const again = await server.mutate(null, 'users.accept', { invitation });
    expect([again.status, again.error?.code]).toEqual([412, 'INVITATION_INVALID']);
    expect((await server.query(ida, 'users.get', { userId: user.id })).data).toMatchObject({ state: 'active' });
    expect((await server.query(ida, 'users.get', { name: 'ida' })).data).toMatchObject({ id: user.id });
    expect((await server.query(ida, 'users.get', { name: 'Ida' })).error?.code).toBe('USER_NOT_FOUND');
  });

  test('of two who accept it at once, one gets a key', async () => {
    const { invitation } = await invite({ name: 'ida' });
    const answers = await Promise.all([1, 2, 3, 4].map(() => server.mutate(null, 'users.accept', { invitation })));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ error }) => error?.code === 'INVITATION_INVALID')).toHaveLength(3);
  });

  test('is void when another takes its place, when its user is disabled, and when it has expired', async () => {
    const first = await invite({ name: 'ida' });
    const second = await invite({ name: 'ida' });
    expect(second.user.id).toBe(first.user.id);
    const refused = { error: { code: 'INVITATION_INVALID' } };
    expect(await server.mutate(null, 'users.accept', { invitation: first.invitation })).toMatchObject(refused);
    await server.mutate(server.admin, 'users.disable', { userId: first.user.id });
    await server.mutate(server.admin, 'users.enable', { userId: first.user.id });
    expect(await server.mutate(null, 'users.accept', { invitation: second.invitation })).toMatchObject(refused);
    const { store, secret } = { store: server.storage.identities, secret: 'hash' };
    const userId = server.bob.principal.userId;
    await store.putInvitation({ userId, isReset: false, createdAt: 1, expiresAt: 5 }, secret);
    const unused = () => {
      throw new Error('not called here');
    };
    expect(await store.acceptInvitation(secret, 5, unused)).toBeUndefined();
  });

  test('is not made for who is there already', async () => {
    const taken = await server.mutate(server.admin, 'users.invite', { name: 'alice' });
    expect([taken.status, taken.error?.code]).toEqual([409, 'NAME_TAKEN']);
    expect(taken.error?.hint).toContain('`caisson users login-link`');
    await invite({ name: 'ida' });
    const other = await server.mutate(server.admin, 'users.invite', { name: 'ida', role: 'admin' });
    expect(other.error?.code).toBe('NAME_TAKEN');
  });

  test('is not made with what is no email', async () => {
    const { error } = await server.mutate(server.admin, 'users.invite', { name: 'eve', email: 'eve' });
    expect(error?.message).toBe('The input is not valid: email: must be an email address.');
  });
});

test('a key that was made by a key makes no keys and invites nobody, also an administrator’s', async () => {
  const made = await server.mutate(server.admin, 'keys.create', { user: 'root', role: 'admin', name: 'second' });
  const { secret } = made.data as { secret: string };
  const second = { secret, principal: await server.keys.authenticateSecret(secret) };
  for (const [path, input] of [
    ['keys.create', { user: 'mallory', role: 'admin', name: 'x' }],
    ['users.invite', { name: 'mallory', role: 'admin' }],
  ] as const) {
    const refused = await server.mutate(second, path, input);
    expect([refused.status, refused.error?.code]).toEqual([403, 'FORBIDDEN']);
  }
  expect((await server.query(second, 'users.list')).status).toBe(200);
});

describe('an auditor', () => {
  test('reads who there is and which keys there are, and no more', async () => {
    const ida = await server.caller('ida', 'auditor');
    const users = (await server.query(ida, 'users.list')).data as { items: { name: string }[] };
    expect(users.items.map(({ name }) => name).toSorted()).toEqual(['alice', 'bob', 'ida', 'root']);
    expect((await server.query(ida, 'keys.list')).data).toMatchObject({ items: { length: 4 } });
    const { keyId } = server.alice.principal;
    expect((await server.mutate(ida, 'keys.revoke', { keyId })).error?.code).toBe('FORBIDDEN');
    expect((await server.mutate(ida, 'keys.revoke', { keyId: ida.principal.keyId })).status).toBe(200);
  });

  test('gets no agent by a share', async () => {
    await server.caller('ida', 'auditor');
    const { agentId } = await newAgent(server.alice, 'hers');
    const refused = await server.mutate(server.alice, 'agents.share', { agentId, user: 'ida', role: 'viewer' });
    expect([refused.status, refused.error?.code]).toEqual([400, 'BAD_REQUEST']);
  });
});

describe('a user who is disabled', () => {
  test('is out at once: keys, subscriptions, runs everywhere, and the sandboxes of its agents', async () => {
    const hers = await newAgent(server.alice, 'hers');
    const bobs = await newAgent(server.bob, 'bobs');
    for (const [caller, { agentId }, user] of [
      [server.bob, bobs, 'alice'],
      [server.alice, hers, 'bob'],
    ] as const) {
      await server.mutate(caller, 'agents.share', { agentId, user, role: 'editor' });
    }
    const runs = {
      ofHers: await startRun(server.alice, hers.conversationId),
      byHer: await startRun(server.alice, bobs.conversationId),
      waiting: await startRun(server.alice, bobs.conversationId),
      byBobInHers: await startRun(server.bob, hers.conversationId),
    };
    const guest = server.sandboxes.currentGuest(bobs.agentId);
    await until('her run is under way', () => guest?.turns.size === 1);
    const events = await server.subscribe(server.alice, { agentId: bobs.agentId });
    const ended = events.text();

    const { userId } = server.alice.principal;
    const disabled = await server.mutate(server.admin, 'users.disable', { userId });
    expect(disabled.data).toMatchObject({ user: { state: 'disabled' }, ended: { keys: 1, runs: 4, sandboxes: 1 } });

    expect(await ended).toContain('UNAUTHORIZED');
    expect((await server.query(server.alice, 'system.version')).error?.code).toBe('UNAUTHORIZED');
    expect(guest?.canceled).toEqual([runs.byHer]);
    expect(await runOf(runs.waiting)).toMatchObject({ state: 'canceled' });
    expect(await runOf(runs.byBobInHers)).toMatchObject({ state: 'canceled' });
    expect(await runOf(runs.ofHers)).toMatchObject({ state: 'interrupted', reason: 'sandbox_lost' });
    expect(server.sandboxes.currentGuest(hers.agentId)).toBeUndefined();
    expect(server.sandboxes.currentGuest(bobs.agentId)).toBeDefined();

    // Her agent is there to look at, and nobody answers for what it would do.
    expect((await server.query(server.bob, 'agents.get', { agentId: hers.agentId })).data).toMatchObject({
      access: 'view',
    });
    const refused = await server.mutate(server.bob, 'runs.start', { ...conversationOf(hers), message: 'x' });
    expect(refused.error?.code).toBe('FORBIDDEN');

    expect((await server.mutate(server.admin, 'users.disable', { userId })).data).toMatchObject({
      ended: { keys: 0, runs: 0, sandboxes: 0 },
    });
    await server.mutate(server.admin, 'users.enable', { userId });
    expect((await server.query(server.alice, 'system.version')).error?.code).toBe('UNAUTHORIZED');
    const back = await server.caller('alice', 'member');
    expect((await server.query(back, 'agents.get', { agentId: hers.agentId })).data).toMatchObject({ access: 'own' });
  });

  test('gets no key', async () => {
    const { userId } = server.bob.principal;
    await server.mutate(server.admin, 'users.disable', { userId });
    const refused = await server.mutate(server.admin, 'keys.create', { user: 'bob', name: 'x' });
    expect(refused.error?.code).toBe('USER_DISABLED');
  });

  test('is not the last administrator', async () => {
    const { userId } = server.admin.principal;
    const refused = await server.mutate(server.admin, 'users.disable', { userId });
    expect([refused.status, refused.error?.code]).toEqual([412, 'LAST_ADMIN_KEY']);
    // A key that expires, or is narrowed, is no way back in.
    await server.caller('second', 'admin', { expiresAt: Date.now() + 60_000 });
    await server.caller('second', 'admin', { scopes: ['oversee'] });
    expect((await server.mutate(server.admin, 'users.disable', { userId })).error?.code).toBe('LAST_ADMIN_KEY');
    expect((await server.query(server.admin, 'system.version')).status).toBe(200);
    await server.caller('second', 'admin');
    expect((await server.mutate(server.admin, 'users.disable', { userId })).status).toBe(200);
  });

  test('whose queued run comes to its turn meanwhile has it rejected', async () => {
    const bobs = await newAgent(server.bob, 'bobs');
    await server.mutate(server.bob, 'agents.share', { agentId: bobs.agentId, user: 'alice', role: 'viewer' });
    const { userId } = server.alice.principal;
    // As one that was accepted in the moment in which it was taken from an editor.
    const { runId } = await server.domain.runs.start({
      principalId: userId,
      conversationId: bobs.conversationId,
      content: [{ type: 'text', text: 'hi' }],
    });
    await until('it is rejected', async () => ((await runOf(runId)) as { state: string }).state === 'rejected');
  });
});

describe('deleting a user', () => {
  test('needs a word about its agents, takes what is its own, and frees its name', async () => {
    const { agentId } = await newAgent(server.alice, 'hers');
    const bobs = await newAgent(server.bob, 'bobs');
    await server.mutate(server.bob, 'agents.share', { agentId: bobs.agentId, user: 'alice', role: 'viewer' });
    const { userId } = server.alice.principal;
    const refused = await server.mutate(server.admin, 'users.delete', { userId });
    expect([refused.status, refused.error?.code]).toEqual([412, 'USER_HAS_AGENTS']);
    expect((await server.query(server.admin, 'users.get', { userId })).data).toMatchObject({ state: 'disabled' });
    const deleted = await server.mutate(server.admin, 'users.delete', { userId, agents: 'delete' });
    expect(deleted.data).toEqual({ userId, deletedAgents: 1 });
    expect((await server.query(server.admin, 'agents.get', { agentId })).error?.code).toBe('AGENT_NOT_FOUND');
    expect((await server.query(server.admin, 'users.get', { userId })).error?.code).toBe('USER_NOT_FOUND');
    expect((await server.query(server.bob, 'agents.shares', { agentId: bobs.agentId })).data).toEqual({ items: [] });
    const namesake = await server.caller('alice', 'member');
    expect(namesake.principal.userId).not.toBe(userId);
    expect((await server.query(namesake, 'agents.list')).data).toMatchObject({ items: [] });
  });
});

function conversationOf({ conversationId }: { readonly conversationId: ConversationId }) {
  return { conversationId };
}
