import { Readable, Writable } from 'node:stream';
import { agent as acpAgent, methods, ndJsonStream, PROTOCOL_VERSION, type AgentApp } from '@agentclientprotocol/sdk';
import type { Agent, CaissonClient } from '../../client/index.ts';
import { stderr } from '../output/sink.ts';
import { packageVersion } from '../version.ts';
import { EditorSessions } from './editor-sessions.ts';

interface BridgeOptions {
  readonly client: CaissonClient;
  readonly agent: Agent;
}

/** Serves ACP on stdin and stdout until the editor closes them. Nothing else is written to stdout. */
export async function serveEditor(options: BridgeOptions): Promise<void> {
  const output = Writable.toWeb(process.stdout);
  const input = Readable.toWeb(process.stdin);
  await createBridge(options).connect(ndJsonStream(output, input)).closed;
}

/** An ACP agent in front of one of ours. It offers what it can do, and nothing of what the editor's machine would have to lend it. */
export function createBridge(options: BridgeOptions): AgentApp {
  const sessions = new EditorSessions(options);
  return acpAgent({ name: 'caisson' })
    .onRequest(methods.agent.initialize, ({ params }) => ({
      protocolVersion: Math.min(params.protocolVersion, PROTOCOL_VERSION),
      agentInfo: { name: 'caisson', title: `Caisson: ${options.agent.name}`, version: packageVersion() },
      agentCapabilities: {
        loadSession: true,
        promptCapabilities: { image: false, audio: false, embeddedContext: true },
        mcpCapabilities: { http: false, sse: false },
        sessionCapabilities: { list: {}, resume: {} },
      },
      authMethods: [],
    }))
    .onRequest(methods.agent.session.new, async ({ params }) => {
      await tellOfServers(params.mcpServers);
      return await sessions.open();
    })
    .onRequest(methods.agent.session.load, async ({ params, client }) => {
      await tellOfServers(params.mcpServers);
      return await sessions.load(params.sessionId, client);
    })
    .onRequest(methods.agent.session.resume, async ({ params }) => {
      await tellOfServers(params.mcpServers ?? []);
      return await sessions.resume(params.sessionId);
    })
    .onRequest(methods.agent.session.setMode, async ({ params }) => {
      await sessions.configure(params.sessionId, 'mode', params.modeId);
      return {};
    })
    .onRequest(methods.agent.session.setConfigOption, async ({ params }) => ({
      configOptions: await sessions.configure(params.sessionId, params.configId, params.value),
    }))
    .onRequest(methods.agent.session.list, async ({ params }) => await sessions.list(params))
    .onRequest(
      methods.agent.session.prompt,
      async ({ params, client, signal }) => await sessions.prompt(params, client, signal),
    )
    .onNotification(methods.agent.session.cancel, ({ params }) => sessions.cancel(params.sessionId));
}

/** They would run on the editor's machine, which the sandbox cannot reach. */
async function tellOfServers(servers: readonly unknown[]): Promise<void> {
  if (servers.length > 0)
    await stderr.write(`${servers.length} MCP servers of the editor are not available to a sandboxed agent.\n`);
}
