import {
  client as acpClient,
  methods,
  type ClientConnection,
  type NewSessionResponse,
  type SessionUpdate,
  type SetSessionConfigOptionRequest,
} from '@agentclientprotocol/sdk';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createBridge } from '../../../src/cli/acp-bridge/serve-editor.ts';
import { createCaissonClient, type Agent, type CaissonClient } from '../../../src/client/index.ts';
import { conversationIdSchema } from '../../../src/kernel/ids.ts';
import { startServer, type RunningServer } from '../../controlplane/running-server.ts';
import { playNextTurn } from '../player.ts';

const offer = {
  modes: [
    { id: 'ask', name: 'Ask' },
    { id: 'plan', name: 'Plan' },
  ],
  models: [
    { id: 'small', name: 'Small' },
    { id: 'large', name: 'Large' },
  ],
  mode: 'ask',
  model: 'small',
};

const optionsWith = (mode: string, model: string) => [
  {
    id: 'mode',
    name: 'Mode',
    category: 'mode',
    type: 'select',
    currentValue: mode,
    options: offer.modes.map(({ id, name }) => ({ value: id, name })),
  },
  {
    id: 'model',
    name: 'Model',
    category: 'model',
    type: 'select',
    currentValue: model,
    options: offer.models.map(({ id, name }) => ({ value: id, name })),
  },
];

let server: RunningServer;
let caisson: CaissonClient;
let agent: Agent;
let editor: ClientConnection;
let updates: SessionUpdate[];
let agents = 0;

beforeAll(async () => {
  server = await startServer({ limits: { agents: 100 } });
  caisson = createCaissonClient({ url: server.url, apiKey: server.alice.secret });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

beforeEach(async () => {
  agents += 1;
  agent = await caisson.agents.create.mutate({ name: `edited-${agents}`, wait: true });
  updates = [];
  editor = acpClient({ name: 'editor' })
    .onNotification(methods.client.session.update, ({ params }) => {
      if (params.update.sessionUpdate !== 'session_info_update') updates.push(params.update);
    })
    .connect(createBridge({ client: caisson, agent }));
  await editor.agent.request(methods.agent.initialize, { protocolVersion: 1, clientCapabilities: {} });
});

const newSession = (): Promise<NewSessionResponse> =>
  editor.agent.request(methods.agent.session.new, { cwd: '/home/me/project', mcpServers: [] });

async function sayOpened(sessionId: string): Promise<void> {
  const conversationId = conversationIdSchema.parse(sessionId);
  const opened = { type: 'session.opened', conversationId, sessionId: 's', how: 'new', ...offer } as const;
  await server.sandboxes.currentGuest(agent.id)?.say(opened);
}

const configOf = async (conversationId: string) => {
  const { mode, model } = await caisson.conversations.get.query({ conversationId });
  return { mode, model };
};

describe('choices in an editor', () => {
  test('are told as soon as a session has told them, and with every later session', async () => {
    const first = await newSession();
    expect(first).toEqual({ sessionId: first.sessionId });
    const { sessionId } = first;
    const answered = editor.agent.request(methods.agent.session.prompt, {
      sessionId,
      prompt: [{ type: 'text', text: 'hello' }],
    });
    await playNextTurn(server, agent.id, async (turn) => {
      await sayOpened(sessionId);
      await turn.end();
    });
    await answered;
    expect(updates).toEqual([{ sessionUpdate: 'config_option_update', configOptions: optionsWith('ask', 'small') }]);

    const second = await newSession();
    expect(second).toMatchObject({
      modes: { currentModeId: 'ask', availableModes: offer.modes },
      configOptions: optionsWith('ask', 'small'),
    });
  });

  test('are made by set_mode and by config options, hold for the next turn, and are told on load', async () => {
    const { sessionId } = await newSession();
    await sayOpened(sessionId);
    await editor.agent.request(methods.agent.session.setMode, { sessionId, modeId: 'plan' });
    expect(await configOf(sessionId)).toEqual({ mode: 'plan', model: null });
    const change: SetSessionConfigOptionRequest = { sessionId, configId: 'model', value: 'large' };
    const { configOptions } = await editor.agent.request(methods.agent.session.setConfigOption, change);
    expect(configOptions).toEqual(optionsWith('plan', 'large'));
    expect(await configOf(sessionId)).toEqual({ mode: 'plan', model: 'large' });
    const load = { sessionId, cwd: '/home/me/project', mcpServers: [] };
    const expected = { modes: { currentModeId: 'plan' }, configOptions: optionsWith('plan', 'large') };
    expect(await editor.agent.request(methods.agent.session.load, load)).toMatchObject(expected);
    expect(await editor.agent.request(methods.agent.session.resume, load)).toMatchObject(expected);
  });

  test('that there are not are refused with those that there are', async () => {
    const { sessionId } = await newSession();
    await sayOpened(sessionId);
    const refusal = (configId: string, value: string): Promise<unknown> =>
      editor.agent
        .request(methods.agent.session.setConfigOption, { sessionId, configId, value })
        .catch((error: unknown) => error);
    expect(await refusal('mode', 'auto')).toMatchObject({
      code: -32_602,
      message: expect.stringContaining('There is no mode "auto". There are: ask, plan.'),
    });
    expect(await refusal('speed', 'fast')).toMatchObject({ code: -32_602 });
    expect(await configOf(sessionId)).toEqual({ mode: null, model: null });
  });

  test('that are made elsewhere, or by the harness, are told in the turn', async () => {
    const { sessionId } = await newSession();
    await sayOpened(sessionId);
    await caisson.conversations.configure.mutate({ conversationId: sessionId, model: 'huge' });
    const answered = editor.agent.request(methods.agent.session.prompt, {
      sessionId,
      prompt: [{ type: 'text', text: 'hello' }],
    });
    await playNextTurn(server, agent.id, async (turn) => {
      await turn.event({ type: 'session.updated', mode: 'plan' });
      await turn.end();
    });
    await answered;
    const huge = [{ value: 'huge', name: 'huge' }, { value: 'small' }, { value: 'large' }];
    expect(updates).toMatchObject([
      { configOptions: [{ currentValue: 'ask' }, { currentValue: 'huge', options: huge }] },
      { sessionUpdate: 'current_mode_update', currentModeId: 'plan' },
      { configOptions: [{ currentValue: 'plan' }, { currentValue: 'huge' }] },
    ]);
  });
});
