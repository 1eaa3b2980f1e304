/** Programs of people who use the package. They are compiled and run in their own project, not in this repository. */

export const strictCompilerOptions = {
  target: 'es2022',
  module: 'nodenext',
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  noEmit: true,
  types: ['node'],
};

/** What a web project has: no types of Node. */
export const browserCompilerOptions = {
  ...strictCompilerOptions,
  module: 'esnext',
  moduleResolution: 'bundler',
  lib: ['es2023', 'esnext.disposable', 'dom', 'dom.iterable', 'dom.asynciterable'],
  types: [],
};

export const typedProgram = `
import { CaissonError, createCaissonClient, type AgentEvent, type CaissonClient, type ErrorCode, type Run } from 'caisson';
import { startControlPlane, type ControlPlane } from 'caisson/server';
import type { SandboxProvider, SandboxSpec } from 'caisson/provider';

const client: CaissonClient = createCaissonClient({ url: 'http://127.0.0.1:9', apiKey: 'none' });

export function describe(event: AgentEvent): string {
  switch (event.type) {
    case 'message.delta':
      return event.delta;
    case 'permission.requested':
      return event.options.map(({ name }) => name).join();
    case 'run.failed': {
      const reason: Extract<Run, { state: 'failed' }>['reason'] = event.reason;
      return reason;
    }
    default:
      return String(event.seq);
  }
}

export async function ask(agentId: string, conversationId: string): Promise<string> {
  const started = await client.runs.start.mutate({ conversationId, message: 'hi' });
  const outcome = await client.runs.wait.query({ runId: started.runId });
  if (outcome.status === 'error') return outcome.error.reason;
  // @ts-expect-error a message is called message
  await client.runs.start.mutate({ conversationId, content: 'hi' });
  // @ts-expect-error there is no such event
  for await (const event of client.subscribe({ agentId })) if (event.type === 'run.exploded') return 'never';
  return outcome.status;
}

export const codeOf = (thrown: unknown): ErrorCode | undefined => (thrown instanceof CaissonError ? thrown.code : undefined);
export const image = (spec: SandboxSpec): string => spec.image;
export type Mine = Pick<SandboxProvider, 'connect'>;
export const start: (options: { version: string }) => Promise<ControlPlane> = startControlPlane;
`;

/** Starts a control plane, asks it what it is, and closes it. */
export const runningProgram = `
import { createCaissonClient } from 'caisson';
import { startControlPlane } from 'caisson/server';

const environment = { CAISSON_PORT: '0', CAISSON_DATA_DIR: 'data', CAISSON_LOG_LEVEL: 'silent' };
const controlPlane = await startControlPlane({ environment, version: '7.7.7' });
const client = createCaissonClient({ url: controlPlane.url, apiKey: controlPlane.adminKey.secret });
const { version, principal } = await client.system.version.query();
console.log(JSON.stringify({ version, role: principal.role }));
await controlPlane.close();
`;

/** A panel: makes an agent, follows its events, opens a conversation once it listens, and shows a terminal. */
export const panelProgram = `
import { CaissonError, createCaissonClient } from 'caisson';

async function show(apiKey: string): Promise<readonly string[]> {
  const client = createCaissonClient({ url: location.origin, apiKey });
  const agent = await client.agents.create.mutate({ name: 'browser', wait: true });
  const seen: string[] = [];
  for await (const event of client.subscribe({ agentId: agent.id })) {
    seen.push(event.type);
    if (event.type === 'sandbox.status' && event.state === 'running') {
      await client.conversations.open.mutate({ agentId: agent.id, title: 'from a browser' });
    }
    if (event.type === 'conversation.opened') break;
  }
  return seen;
}

async function codeOfRefusal(): Promise<string> {
  try {
    await createCaissonClient({ url: location.origin, apiKey: 'wrong' }).agents.list.query();
    return 'none';
  } catch (thrown) {
    return thrown instanceof CaissonError ? thrown.code : String(thrown);
  }
}

/** Opens a terminal, types a line when it is asked for, and reads to the end of its program. */
async function playTerminal(apiKey: string, agentId: string): Promise<object> {
  const client = createCaissonClient({ url: location.origin, apiKey });
  const command = ['bash', '-c', 'echo ready; read line; echo "got $line"; stty size; exit 5'];
  const { id: terminalId } = await client.terminals.open.mutate({ agentId, command });
  const attachment = await client.terminals.attach({ agentId, terminalId });
  attachment.resize({ cols: 91, rows: 23 });
  const decoder = new TextDecoder();
  const reader = attachment.output.getReader();
  let text = '';
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    text += decoder.decode(next.value, { stream: true });
    if (text === 'ready\\r\\n') await attachment.write('h\u00e4llo\\r');
  }
  return { text, exit: await attachment.closed, offset: attachment.offset };
}

Object.assign(globalThis, { show, codeOfRefusal, playTerminal });
`;
