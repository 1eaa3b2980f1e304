import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  newAgentId,
  newConversationId,
  newEgressRequestId,
  newKeyId,
  newPermissionId,
  newPreviewId,
  newProcessId,
  newRunId,
  newTerminalId,
  type AgentId,
  type ConversationId,
} from '../../../src/kernel/ids.ts';
import { until } from '../../until.ts';
import { procedureTypes } from '../procedure-types.ts';
import { type RunningServer, startServer } from '../running-server.ts';

/** Ids of things: either alice's, or of nobody. */
interface Ids {
  readonly agentId: string;
  readonly conversationId: string;
  readonly runId: string;
  readonly permissionId: string;
  readonly keyId: string;
  readonly previewId: string;
  readonly egressRequestId: string;
}

interface Entry {
  /** With ids that are not the caller's. */
  readonly input: (ids: Ids) => object;
  readonly refusedWith: string;
  /** Whether it asks the sandbox, which here has no inside: what the owner is told then. */
  readonly insideRefusedWith?: string;
}

/** Of nobody: whose agent it is decides. */
const terminal = { terminalId: newTerminalId() };

/**
 * Every procedure: how it is asked about someone else's things and what it must answer; or why it cannot be asked that.
 * A procedure without a row fails the test below.
 */
const matrix: Readonly<Record<string, Entry | string>> = {
  'agents.create': 'names no id',
  'agents.list': 'lists the own ones only, as tested with the procedures',
  'agents.get': { input: ({ agentId }) => ({ agentId }), refusedWith: 'AGENT_NOT_FOUND' },
  'agents.status': { input: ({ agentId }) => ({ agentId }), refusedWith: 'AGENT_NOT_FOUND' },
  'agents.history': { input: ({ agentId }) => ({ agentId }), refusedWith: 'AGENT_NOT_FOUND' },
  'agents.sendMessage': {
    input: ({ agentId, conversationId }) => ({ agentId, conversationId, message: 'hi' }),
    refusedWith: 'AGENT_NOT_FOUND',
  },
  'agents.delete': 'leaves alone what is not of the caller, as tested with the procedures',
  'conversations.open': { input: ({ agentId }) => ({ agentId }), refusedWith: 'AGENT_NOT_FOUND' },
  'conversations.list': { input: ({ agentId }) => ({ agentId }), refusedWith: 'AGENT_NOT_FOUND' },
  'conversations.get': { input: ({ conversationId }) => ({ conversationId }), refusedWith: 'CONVERSATION_NOT_FOUND' },
  'conversations.configure': {
    input: ({ conversationId }) => ({ conversationId, mode: 'plan' }),
    refusedWith: 'CONVERSATION_NOT_FOUND',
  },
  'conversations.close': { input: ({ conversationId }) => ({ conversationId }), refusedWith: 'CONVERSATION_NOT_FOUND' },
  'runs.start': {
    input: ({ conversationId }) => ({ conversationId, message: 'hi' }),
    refusedWith: 'CONVERSATION_NOT_FOUND',
  },
  'runs.wait': { input: ({ runId }) => ({ runId, timeoutMs: 0 }), refusedWith: 'RUN_NOT_FOUND' },
  'runs.get': { input: ({ runId }) => ({ runId }), refusedWith: 'RUN_NOT_FOUND' },
  'runs.list': { input: ({ agentId }) => ({ agentId }), refusedWith: 'AGENT_NOT_FOUND' },
  'runs.cancel': { input: ({ runId }) => ({ runId }), refusedWith: 'RUN_NOT_FOUND' },
  'events.subscribe': { input: ({ agentId }) => ({ agentId }), refusedWith: 'AGENT_NOT_FOUND' },
  'events.read': { input: ({ agentId }) => ({ agentId }), refusedWith: 'AGENT_NOT_FOUND' },
  'changes.status': {
    input: ({ agentId }) => ({ agentId, since: 'commit' }),
    refusedWith: 'AGENT_NOT_FOUND',
    insideRefusedWith: 'SANDBOX_START_FAILED',
  },
  'changes.diff': {
    input: ({ agentId }) => ({ agentId, since: 'commit' }),
    refusedWith: 'AGENT_NOT_FOUND',
    insideRefusedWith: 'SANDBOX_START_FAILED',
  },
  'changes.checkpoints': {
    input: ({ agentId }) => ({ agentId }),
    refusedWith: 'AGENT_NOT_FOUND',
    insideRefusedWith: 'SANDBOX_START_FAILED',
  },
  'changes.restore': { input: ({ runId }) => ({ runId }), refusedWith: 'RUN_NOT_FOUND' },
  'files.list': {
    input: ({ agentId }) => ({ agentId, path: '' }),
    refusedWith: 'AGENT_NOT_FOUND',
    insideRefusedWith: 'SANDBOX_START_FAILED',
  },
  'files.stat': {
    input: ({ agentId }) => ({ agentId, path: 'a' }),
    refusedWith: 'AGENT_NOT_FOUND',
    insideRefusedWith: 'SANDBOX_START_FAILED',
  },
  'files.read': {
    input: ({ agentId }) => ({ agentId, path: 'a' }),
    refusedWith: 'AGENT_NOT_FOUND',
    insideRefusedWith: 'SANDBOX_START_FAILED',
  },
  'files.write': { input: ({ agentId }) => ({ agentId, path: 'a', content: '' }), refusedWith: 'AGENT_NOT_FOUND' },
  'files.mkdir': { input: ({ agentId }) => ({ agentId, path: 'a' }), refusedWith: 'AGENT_NOT_FOUND' },
  'files.move': { input: ({ agentId }) => ({ agentId, from: 'a', to: 'b' }), refusedWith: 'AGENT_NOT_FOUND' },
  'files.copy': { input: ({ agentId }) => ({ agentId, from: 'a', to: 'b' }), refusedWith: 'AGENT_NOT_FOUND' },
  'files.remove': { input: ({ agentId }) => ({ agentId, path: 'a' }), refusedWith: 'AGENT_NOT_FOUND' },
  'files.search': { input: ({ agentId }) => ({ agentId, query: 'a' }), refusedWith: 'AGENT_NOT_FOUND' },
  'files.watch': { input: ({ agentId }) => ({ agentId, path: '' }), refusedWith: 'AGENT_NOT_FOUND' },
  'permissions.list': { input: ({ agentId }) => ({ agentId }), refusedWith: 'AGENT_NOT_FOUND' },
  'permissions.respond': {
    input: ({ permissionId }) => ({ permissionId, optionId: 'allow_once' }),
    refusedWith: 'PERMISSION_NOT_FOUND',
  },
  'processes.exec': {
    input: ({ agentId }) => ({ agentId, command: ['true'] }),
    refusedWith: 'AGENT_NOT_FOUND',
  },
  'processes.start': {
    input: ({ agentId }) => ({ agentId, command: ['true'] }),
    refusedWith: 'AGENT_NOT_FOUND',
  },
  'processes.list': {
    input: ({ agentId }) => ({ agentId }),
    refusedWith: 'AGENT_NOT_FOUND',
    insideRefusedWith: 'SANDBOX_NOT_RUNNING',
  },
  'processes.get': {
    input: ({ agentId }) => ({ agentId, processId: newProcessId() }),
    refusedWith: 'AGENT_NOT_FOUND',
    insideRefusedWith: 'SANDBOX_NOT_RUNNING',
  },
  'processes.write': {
    input: ({ agentId }) => ({ agentId, processId: newProcessId() }),
    refusedWith: 'AGENT_NOT_FOUND',
  },
  'processes.signal': {
    input: ({ agentId }) => ({ agentId, pid: 2, signal: 'SIGTERM' }),
    refusedWith: 'AGENT_NOT_FOUND',
  },
  'processes.kill': { input: ({ agentId }) => ({ agentId, pid: 2 }), refusedWith: 'AGENT_NOT_FOUND' },
  'processes.wait': {
    input: ({ agentId }) => ({ agentId, processId: newProcessId() }),
    refusedWith: 'AGENT_NOT_FOUND',
    insideRefusedWith: 'SANDBOX_NOT_RUNNING',
  },
  'processes.logs': {
    input: ({ agentId }) => ({ agentId, processId: newProcessId() }),
    refusedWith: 'AGENT_NOT_FOUND',
  },
  'terminals.open': { input: ({ agentId }) => ({ agentId }), refusedWith: 'AGENT_NOT_FOUND' },
  'terminals.list': { input: ({ agentId }) => ({ agentId }), refusedWith: 'AGENT_NOT_FOUND' },
  'terminals.get': 'needs a terminal: as tested in tests/client/terminals.test.ts',
  'terminals.resize': {
    input: ({ agentId }) => ({ agentId, ...terminal, cols: 80, rows: 24 }),
    refusedWith: 'AGENT_NOT_FOUND',
  },
  'terminals.close': { input: ({ agentId }) => ({ agentId, ...terminal }), refusedWith: 'AGENT_NOT_FOUND' },
  'ports.list': {
    input: ({ agentId }) => ({ agentId }),
    refusedWith: 'AGENT_NOT_FOUND',
    insideRefusedWith: 'SANDBOX_NOT_RUNNING',
  },
  'previews.create': { input: ({ agentId }) => ({ agentId, port: 3000 }), refusedWith: 'AGENT_NOT_FOUND' },
  'previews.list': { input: ({ agentId }) => ({ agentId }), refusedWith: 'AGENT_NOT_FOUND' },
  'previews.get': { input: ({ previewId }) => ({ previewId }), refusedWith: 'PREVIEW_NOT_FOUND' },
  'previews.revoke': { input: ({ previewId }) => ({ previewId }), refusedWith: 'PREVIEW_NOT_FOUND' },
  'usage.totals': {
    input: ({ agentId }) => ({ agentId, from: '2026-01-01', to: '2026-01-31' }),
    refusedWith: 'AGENT_NOT_FOUND',
  },
  'usage.calls': { input: ({ agentId }) => ({ agentId }), refusedWith: 'AGENT_NOT_FOUND' },
  'egress.policy.get': { input: ({ agentId }) => ({ agentId }), refusedWith: 'AGENT_NOT_FOUND' },
  'egress.policy.set': { input: ({ agentId }) => ({ agentId, mode: 'open' }), refusedWith: 'AGENT_NOT_FOUND' },
  'egress.policy.test': {
    input: ({ agentId }) => ({ agentId, host: 'example.com' }),
    refusedWith: 'AGENT_NOT_FOUND',
  },
  'egress.policy.presets': 'names no id',
  'egress.pending': { input: ({ agentId }) => ({ agentId }), refusedWith: 'AGENT_NOT_FOUND' },
  'egress.decide': {
    input: ({ egressRequestId: requestId }) => ({ requestId, answer: 'once' }),
    refusedWith: 'EGRESS_REQUEST_NOT_FOUND',
  },
  'egress.log': { input: ({ agentId }) => ({ agentId }), refusedWith: 'AGENT_NOT_FOUND' },
  'egress.usage': { input: ({ agentId }) => ({ agentId }), refusedWith: 'AGENT_NOT_FOUND' },
  'keys.create': 'for administrators only, as tested below',
  'keys.list': 'lists the own ones only, as tested below',
  'keys.revoke': { input: ({ keyId }) => ({ keyId }), refusedWith: 'KEY_NOT_FOUND' },
  'quotas.get': { input: ({ agentId }) => ({ of: { agentId } }), refusedWith: 'AGENT_NOT_FOUND' },
  'quotas.set': {
    input: ({ conversationId }) => ({ of: { conversationId }, version: 0, limits: { tokens: 1 } }),
    refusedWith: 'CONVERSATION_NOT_FOUND',
  },
  'quotas.plans': 'for administrators only, as tested with the quotas',
  'quotas.setPlan': 'for administrators only, as tested with the quotas',
  'quotas.removePlan': 'for administrators only, as tested with the quotas',
  'usage.me': 'names no id',
  'system.health': 'names no id, and needs no key',
  'system.version': 'names no id',
  'system.sandboxes': 'counts the own ones only, as tested with the procedures',
};

let server: RunningServer;
let alices: Ids;
beforeAll(async () => {
  server = await startServer();
  alices = await makeThings();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** One of everything, with a run under way that asks for permission. */
async function makeThings(): Promise<Ids> {
  const made = await server.mutate(server.alice, 'agents.create', { name: 'hers', wait: true });
  const { id: agentId } = made.data as { id: AgentId };
  const opened = await server.mutate(server.alice, 'conversations.open', { agentId });
  const { id: conversationId } = opened.data as { id: ConversationId };
  await server.mutate(server.alice, 'runs.start', { conversationId, message: 'push' });
  const guest = server.sandboxes.currentGuest(agentId);
  const runId = await until('the turn', () => guest?.turns.keys().next().value);
  const permissionId = newPermissionId();
  const options = [{ optionId: 'allow_once', name: 'Allow', kind: 'allow_once' as const }];
  const shown = {
    toolCallId: 't',
    title: 'git push',
    kind: 'execute',
    content: [],
    options,
    expiresAt: Date.now() + 600_000,
  };
  await guest?.say(
    { type: 'turn.started', runId, conversationId },
    { type: 'event', conversationId, runId, event: { type: 'permission.requested', permissionId, ...shown } },
  );
  const { data: preview } = await server.mutate(server.alice, 'previews.create', { agentId, port: 3000 });
  const { id: previewId } = preview as { id: string };
  await server.mutate(server.alice, 'egress.policy.set', { agentId, mode: 'ask' });
  void server.egressPolicy.decide(agentId, { host: 'example.com', port: 443 }, new AbortController().signal);
  const { id: egressRequestId } = await until('the question', () => server.egressPolicy.pending()[0]);
  const { keyId } = server.alice.principal;
  return { agentId, conversationId, runId, permissionId, keyId, previewId, egressRequestId };
}

async function refusal(
  caller: RunningServer['alice'] | null,
  path: string,
  input: object,
): Promise<{ status: number; body: unknown }> {
  switch (procedureTypes.get(path)) {
    case 'query': {
      const { status, error } = await server.query(caller, path, input);
      return { status, body: error };
    }
    case 'mutation': {
      const { status, error } = await server.mutate(caller, path, input);
      return { status, body: error };
    }
    default: {
      const text = await (await server.subscribe(caller, input, {}, path)).text();
      const shape = /event: serialized-error\ndata: (.*)/.exec(text)?.[1] ?? '{}';
      const { data } = JSON.parse(shape) as { data?: { caisson?: unknown; httpStatus?: number } };
      return { status: data?.httpStatus ?? 0, body: data?.caisson };
    }
  }
}

test('every procedure has a row', () => {
  expect([...procedureTypes.keys()].toSorted()).toEqual(Object.keys(matrix).toSorted());
});

const rows = Object.entries(matrix).flatMap(([path, entry]) => (typeof entry === 'string' ? [] : [{ path, ...entry }]));

describe.each(rows)('$path', ({ path, input, refusedWith }) => {
  test("someone else's id reads as one that never was", async () => {
    const nobodys: Ids = {
      agentId: newAgentId(),
      conversationId: newConversationId(),
      runId: newRunId(),
      permissionId: newPermissionId(),
      keyId: newKeyId(),
      previewId: newPreviewId(),
      egressRequestId: newEgressRequestId(),
    };
    const hers = await refusal(server.bob, path, input(alices));
    expect(hers).toMatchObject({ status: 404, body: { code: refusedWith } });
    const never = await refusal(server.bob, path, input(nobodys));
    const forget = (ids: Ids, value: unknown): unknown =>
      JSON.parse(
        Object.values(ids).reduce<string>((text, id) => text.replaceAll(String(id), '<id>'), JSON.stringify(value)),
      );
    expect(forget(alices, hers)).toEqual(forget(nobodys, never));
  });

  test('without a key nothing is told', async () => {
    expect(await refusal(null, path, input(alices))).toMatchObject({ status: 401, body: { code: 'UNAUTHORIZED' } });
  });

  test('an id of another kind is bad input', async () => {
    const swapped: Ids = {
      agentId: alices.runId,
      conversationId: alices.agentId,
      runId: alices.keyId,
      permissionId: 'x',
      keyId: `${alices.keyId}0`,
      previewId: alices.agentId,
      egressRequestId: alices.agentId,
    };
    expect(await refusal(server.alice, path, input(swapped))).toMatchObject({
      status: 400,
      body: { code: 'BAD_REQUEST' },
    });
  });
});

test.each(rows.filter(({ path }) => procedureTypes.get(path) === 'query'))(
  '$path: its owner and an administrator may',
  async ({ path, input, insideRefusedWith }) => {
    for (const caller of [server.alice, server.admin]) {
      const answer = await server.query(caller, path, input(alices));
      if (insideRefusedWith === undefined) expect(answer).toMatchObject({ status: 200, error: undefined });
      else expect(answer).toMatchObject({ error: { code: insideRefusedWith } });
    }
  },
);

test('none of the refusals changed anything', async () => {
  const { data } = await server.query(server.alice, 'agents.status', { agentId: alices.agentId });
  expect(data).toMatchObject({
    agent: { deleting: false },
    conversations: [{ status: 'open' }],
    activeRuns: [{ id: alices.runId, state: 'awaiting_permission', cancelRequested: false }],
    pendingPermissions: [{ id: alices.permissionId }],
  });
  expect((await server.query(server.alice, 'keys.list')).data).toMatchObject({ items: [{ revokedAt: null }] });
  const policy = await server.query(server.alice, 'egress.policy.get', { agentId: alices.agentId });
  expect(policy.data).toMatchObject({ mode: 'ask', version: 1 });
  expect(server.egressPolicy.pending()).toMatchObject([{ id: alices.egressRequestId, waiting: 1 }]);
});

describe('keys', () => {
  test('only administrators make keys', async () => {
    const refused = await server.mutate(server.bob, 'keys.create', { user: 'bob', role: 'admin', name: 'x' });
    expect([refused.status, refused.error?.code]).toEqual([403, 'FORBIDDEN']);
  });

  test('a new key works, is shown once, and is refused from the moment of its revocation', async () => {
    const made = await server.mutate(server.admin, 'keys.create', { user: 'carol', name: 'laptop' });
    const { key, secret } = made.data as { key: { id: string }; secret: string };
    expect(key).toMatchObject({ name: 'laptop', prefix: secret.slice(0, 9), user: { name: 'carol', role: 'member' } });
    const carol = { secret, principal: server.bob.principal };
    expect((await server.query(carol, 'system.version')).status).toBe(200);
    const listed = await server.query(carol, 'keys.list');
    expect(listed.data).toMatchObject({ items: [{ id: key.id, lastUsedAt: expect.any(Number) }] });
    expect(listed.text).not.toContain(secret);
    expect((await server.mutate(carol, 'keys.revoke', { keyId: key.id })).data).toMatchObject({
      revokedAt: expect.any(Number),
    });
    const refused = await server.query(carol, 'system.version');
    expect([refused.status, refused.error?.code]).toEqual([401, 'UNAUTHORIZED']);
  });

  test('a user keeps its role', async () => {
    const refused = await server.mutate(server.admin, 'keys.create', { user: 'alice', role: 'admin', name: 'x' });
    expect([refused.status, refused.error?.code]).toEqual([409, 'NAME_TAKEN']);
  });

  test('the last key of an administrator stays', async () => {
    const refused = await server.mutate(server.admin, 'keys.revoke', { keyId: server.admin.principal.keyId });
    expect([refused.status, refused.error?.code]).toEqual([412, 'LAST_ADMIN_KEY']);
    expect((await server.query(server.admin, 'system.version')).status).toBe(200);
  });
});
