import {
  client as acpClient,
  methods,
  type ClientConnection,
  type RequestPermissionRequest,
  type RequestPermissionResponse,
  type SessionUpdate,
} from '@agentclientprotocol/sdk';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createBridge } from '../../../src/cli/acp-bridge/serve-editor.ts';
import { createCaissonClient, type Agent, type CaissonClient } from '../../../src/client/index.ts';
import { newConversationId, type AgentId } from '../../../src/kernel/ids.ts';
import { startServer, type RunningServer } from '../../controlplane/running-server.ts';
import { until } from '../../until.ts';
import { playNextTurn, type PlayedTurn } from '../player.ts';

let server: RunningServer;
let caisson: CaissonClient;
let agent: Agent;
let agentId: AgentId;
let editor: ClientConnection;
let updates: SessionUpdate[];
let sessionId: string;
let decide: (request: RequestPermissionRequest, signal: AbortSignal) => Promise<RequestPermissionResponse>;

beforeAll(async () => {
  server = await startServer({ limits: { agents: 100 } });
  caisson = createCaissonClient({ url: server.url, apiKey: server.alice.secret });
  agent = await caisson.agents.create.mutate({ name: 'edited', wait: true });
  agentId = agent.id;
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

beforeEach(async () => {
  updates = [];
  decide = async () => ({ outcome: { outcome: 'selected', optionId: 'yes' } });
  editor = acpClient({ name: 'editor' })
    .onRequest(methods.client.session.requestPermission, ({ params, signal }) => decide(params, signal))
    .onNotification(methods.client.session.update, ({ params }) => void updates.push(params.update))
    .connect(createBridge({ client: caisson, agent }));
  await editor.agent.request(methods.agent.initialize, { protocolVersion: 1, clientCapabilities: {} });
  const opened = await editor.agent.request(methods.agent.session.new, { cwd: '/home/me/project', mcpServers: [] });
  sessionId = opened.sessionId;
});

const prompt = (text: string): Promise<{ stopReason: string }> =>
  editor.agent.request(methods.agent.session.prompt, { sessionId, prompt: [{ type: 'text', text }] });
const play = (script: (turn: PlayedTurn) => Promise<void>): Promise<PlayedTurn> =>
  playNextTurn(server, agentId, script);
const texts = (): string =>
  updates
    .map((update) => ('content' in update && update.content && 'text' in update.content ? update.content.text : ''))
    .join('');

describe('the bridge to an editor', () => {
  test('a prompt streams, runs tools and ends', async () => {
    const answered = prompt('hello');
    const turn = await play(async (played) => {
      await played.speak('One two.');
      await played.runCommand('ls', 'a\n');
      await played.end();
    });
    expect(turn.text).toBe('hello');
    expect(await answered).toEqual({ stopReason: 'end_turn' });
    expect(updates.map(({ sessionUpdate }) => sessionUpdate)).toEqual([
      'session_info_update',
      'agent_message_chunk',
      'agent_message_chunk',
      'tool_call',
      'tool_call_update',
      'tool_call_update',
    ]);
  });

  test('a permission request is put to the editor, and its answer to the agent', async () => {
    const asked: RequestPermissionRequest[] = [];
    decide = async (request) => {
      asked.push(request);
      return { outcome: { outcome: 'selected', optionId: 'no' } };
    };
    const answered = prompt('push');
    await play(async (turn) => {
      expect(await turn.ask('git push')).toBe('no');
      await turn.end({ state: 'canceled', reason: 'permission_rejected', message: 'It was refused.' });
    });
    expect(await answered).toEqual({ stopReason: 'cancelled' });
    expect(asked).toMatchObject([
      {
        sessionId,
        toolCall: { title: 'git push', kind: 'execute' },
        options: [{ optionId: 'yes' }, { optionId: 'no' }],
      },
    ]);
    expect(texts()).toContain('canceled (permission_rejected): It was refused.');
  });

  test('a question that is answered elsewhere is taken back from the editor', async () => {
    let takenBack = false;
    decide = (_, signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          takenBack = true;
          resolve({ outcome: { outcome: 'cancelled' } });
        });
      });
    const answered = prompt('push');
    await play(async (turn) => {
      const asked = turn.ask('git push');
      const [pending] = await until('a question', async () => {
        const { items } = await caisson.permissions.list.query({ agentId });
        return items.length > 0 && items;
      });
      await caisson.permissions.respond.mutate({ permissionId: pending?.id ?? '', optionId: 'yes' });
      expect(await asked).toBe('yes');
      await until('the editor to hear of it', () => takenBack);
      await turn.end();
    });
    expect(await answered).toEqual({ stopReason: 'end_turn' });
  });

  test('cancel ends the turn as canceled', async () => {
    const answered = prompt('long');
    await play(async (turn) => {
      await editor.agent.notify(methods.agent.session.cancel, { sessionId });
      await turn.canceled();
      await turn.end({ state: 'canceled', reason: 'canceled_by_user', message: '' });
    });
    expect(await answered).toEqual({ stopReason: 'cancelled' });
    expect(texts()).toBe('');
  });

  test('a failed run is an error with its reason', async () => {
    const answered = prompt('fail').catch((error: unknown) => error);
    await play((turn) => turn.end({ state: 'failed', reason: 'model_error', message: 'The service answered 500.' }));
    expect(await answered).toMatchObject({
      code: -32_603,
      message: 'The run failed (model_error): The service answered 500.',
      data: { state: 'failed', reason: 'model_error' },
    });
  });

  test('load tells what was said and done; list names the session', async () => {
    const answered = prompt('remember');
    await play(async (turn) => {
      await turn.event({ type: 'plan.updated', entries: [{ content: 'do', priority: 'high', status: 'pending' }] });
      await turn.speak('First.');
      await turn.runCommand('make', 'no rule\n', 2);
      await turn.speak('Second.');
      await turn.end();
    });
    await answered;
    updates = [];
    await editor.agent.request(methods.agent.session.load, { sessionId, cwd: '/home/me/project', mcpServers: [] });
    expect(updates.map(({ sessionUpdate }) => sessionUpdate)).toEqual([
      'user_message_chunk',
      'plan',
      'agent_message_chunk',
      'tool_call',
      'agent_message_chunk',
    ]);
    expect(texts()).toBe('rememberFirst.Second.');
    expect(updates[3]).toMatchObject({
      title: 'make',
      kind: 'execute',
      status: 'failed',
      content: [{ type: 'content', content: { type: 'text', text: 'no rule\n' } }],
      rawOutput: { exitCode: 2 },
    });
    const { sessions } = await editor.agent.request(methods.agent.session.list, { cwd: '/home/me/project' });
    expect(sessions).toContainEqual(expect.objectContaining({ sessionId, title: 'remember' }));
  });

  test('an unknown session is not found, a closed one says so', async () => {
    const load = (id: string): Promise<unknown> =>
      editor.agent
        .request(methods.agent.session.load, { sessionId: id, cwd: '/', mcpServers: [] })
        .catch((error: unknown) => error);
    expect(await load(newConversationId())).toMatchObject({ code: -32_002 });
    expect(await load('not-an-id-of-ours')).toMatchObject({ code: -32_002 });
    sessionId = 'not-an-id-of-ours';
    expect(await prompt('hello').catch((error: unknown) => error)).toMatchObject({ code: -32_002 });
    const { id: closed } = await caisson.conversations.open.mutate({ agentId });
    await caisson.conversations.close.mutate({ conversationId: closed });
    expect(await load(closed)).toMatchObject({ message: 'The conversation is closed. Open a new conversation.' });
  });
});
