/**
 * A real ACP agent over stdio that does what the prompt says, a directive a line (see `scripted-acp-agent/directives.ts`).
 * It keeps its sessions, and a log of what it was asked, in the directory that `SCRIPTED_AGENT_DIRECTORY` names.
 * `SCRIPTED_AGENT` holds JSON options (see `scripted-acp-agent/options.ts`).
 */
import { Readable, Writable } from 'node:stream';
import { agent, methods, ndJsonStream, RequestError } from '@agentclientprotocol/sdk/unstable';
import { z } from 'zod';
import { ScriptedChoices } from './scripted-acp-agent/choices.ts';
import { perform, type ScriptedSession } from './scripted-acp-agent/directives.ts';
import { readOptions } from './scripted-acp-agent/options.ts';
import { AgentStore } from './scripted-acp-agent/store.ts';

const modelRequest = z.object({ sessionId: z.string(), modelId: z.string() });
const options = readOptions(process.env['SCRIPTED_AGENT']);
const store = new AgentStore(process.env['SCRIPTED_AGENT_DIRECTORY'] ?? '/nonexistent');
const sessions = new Map<string, ScriptedSession>();

if (options.stderr !== null) process.stderr.write(options.stderr);
if (options.exitAtStart !== null) process.exit(options.exitAtStart);

function sessionOf(sessionId: string): ScriptedSession {
  const session = sessions.get(sessionId);
  if (session === undefined) throw RequestError.sessionNotFound(sessionId);
  return session;
}

function begin(sessionId: string): ScriptedSession {
  const choices = new ScriptedChoices(options);
  const session = { sessionId, cancel: new AbortController(), children: [], choices };
  sessions.set(sessionId, session);
  return session;
}

function reopen(sessionId: string): readonly string[] {
  const prompts = store.prompts(sessionId);
  if (prompts === null) throw RequestError.internalError({ message: `no rollout found for thread id ${sessionId}` });
  begin(sessionId);
  return prompts;
}

agent({ name: 'scripted' })
  .onRequest(methods.agent.initialize, async ({ params }) => {
    store.log('initialize', params);
    if (options.neverInitialize) await new Promise(() => undefined);
    const offers = new Set(options.offers);
    return {
      protocolVersion: 1,
      agentInfo: { name: 'scripted', version: '1.2.3' },
      agentCapabilities: {
        loadSession: offers.has('load'),
        sessionCapabilities: {
          ...(offers.has('resume') ? { resume: {} } : {}),
          ...(offers.has('close') ? { close: {} } : {}),
          ...(offers.has('title') ? { title: {} } : {}),
        },
      },
    };
  })
  .onRequest(methods.agent.session.new, async ({ params }) => {
    store.log('session/new', params);
    if (options.refuseSessions) throw RequestError.authRequired();
    const sessionId = store.create();
    return { sessionId, ...begin(sessionId).choices.told };
  })
  .onRequest(methods.agent.session.load, async ({ params, client }) => {
    store.log('session/load', params);
    for (const text of reopen(params.sessionId)) {
      const content = { type: 'text', text } as const;
      const update = { sessionUpdate: 'user_message_chunk', messageId: 'old', content } as const;
      await client.notify(methods.client.session.update, { sessionId: params.sessionId, update });
    }
    return sessionOf(params.sessionId).choices.told;
  })
  .onRequest(methods.agent.session.resume, async ({ params }) => {
    store.log('session/resume', params);
    reopen(params.sessionId);
    return sessionOf(params.sessionId).choices.told;
  })
  .onRequest(methods.agent.session.setTitle, async ({ params }) => {
    store.log('session/set_title', params);
    return { title: params.title };
  })
  .onRequest(methods.agent.session.setConfigOption, async ({ params, client }) => {
    store.log('session/set_config_option', params);
    const { sessionId, configId, value } = params;
    const { choices } = sessionOf(sessionId);
    choices.set(configId.replace('the-', ''), value);
    const { configOptions } = choices;
    const update = { sessionUpdate: 'config_option_update', configOptions } as const;
    await client.notify(methods.client.session.update, { sessionId, update });
    return { configOptions };
  })
  .onRequest(methods.agent.session.setMode, async ({ params, client }) => {
    store.log('session/set_mode', params);
    const { sessionId, modeId } = params;
    sessionOf(sessionId).choices.set('mode', modeId);
    const update = { sessionUpdate: 'current_mode_update', currentModeId: modeId } as const;
    await client.notify(methods.client.session.update, { sessionId, update });
    return {};
  })
  .onRequest('session/set_model', modelRequest, async ({ params }) => {
    store.log('session/set_model', params);
    sessionOf(params.sessionId).choices.set('model', params.modelId);
    return {};
  })
  .onRequest(methods.agent.session.close, async ({ params }) => {
    store.log('session/close', params);
    if (options.hangOnClose) await new Promise(() => undefined);
    for (const child of sessionOf(params.sessionId).children) child.kill('SIGKILL');
    sessions.delete(params.sessionId);
    return {};
  })
  .onNotification(methods.agent.session.cancel, ({ params }) => {
    store.log('session/cancel', params);
    sessions.get(params.sessionId)?.cancel.abort();
  })
  .onRequest(methods.agent.session.prompt, async ({ params, client }) => {
    store.log('session/prompt', params);
    const session = sessionOf(params.sessionId);
    session.cancel = new AbortController();
    const text = params.prompt
      .map((block) => z.object({ text: z.string() }).safeParse(block).data?.text ?? '')
      .join('');
    store.addPrompt(params.sessionId, text);
    return perform(text, session, client, store);
  })
  .connect(ndJsonStream(Writable.toWeb(process.stdout), Readable.toWeb(process.stdin) as ReadableStream<Uint8Array>));
