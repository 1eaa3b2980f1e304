import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type Standing, standings, verdictOf } from '../../../scripts/docs/verdicts.ts';
import { type CaissonClient, createCaissonClient } from '../../../src/client/index.ts';
import { routeNeeds } from '../../../src/controlplane/http/route-needs.ts';
import { newTerminalId } from '../../../src/kernel/ids.ts';
import { until } from '../../until.ts';
import { type RunningWorkspace, startWorkspace } from './running-workspace.ts';

type Route = keyof typeof routeNeeds;

let workspace: RunningWorkspace;
let admin: CaissonClient;
let agentId: string;
const keys = new Map<Standing, string>();
const clients = new Map<Standing, CaissonClient>();
beforeAll(async () => {
  workspace = await startWorkspace();
  agentId = workspace.agent.id;
  admin = createCaissonClient({ url: workspace.url, apiKey: workspace.adminKey });
  keys.set('admin', workspace.adminKey).set('owner', workspace.apiKey).set('stranger', workspace.strangerKey);
  for (const user of ['editor', 'viewer', 'auditor'] as const) {
    const { role } = standings[user];
    keys.set(user, (await admin.keys.create.mutate({ user, role, name: 'test' })).secret);
  }
  for (const role of ['editor', 'viewer'] as const) {
    await workspace.client.agents.share.mutate({ agentId, user: role, role });
  }
  for (const [standing, apiKey] of keys) clients.set(standing, createCaissonClient({ url: workspace.url, apiKey }));
  await workspace.client.files.write.mutate({ agentId, path: 'a', content: 'text' });
});
afterAll(() => workspace[Symbol.asyncDispose]());

function clientOf(standing: Standing): CaissonClient {
  const client = clients.get(standing);
  if (client === undefined) throw new Error(`there is no ${standing}`);
  return client;
}

function bearer(standing: Standing): Record<string, string> {
  return { authorization: `Bearer ${keys.get(standing)}` };
}

/** What comes of a request: `ok`, or the code that refuses it; of a HEAD, which has no body, that of its status. */
async function http(standing: Standing, method: string, path: string, body?: Uint8Array<ArrayBuffer>): Promise<string> {
  return await ask(standing, method, `agents/${agentId}/${path}`, body);
}

async function ask(standing: Standing, method: string, path: string, body?: Uint8Array<ArrayBuffer>): Promise<string> {
  const response = await fetch(`${workspace.url}/v1/${path}`, {
    method,
    headers: bearer(standing),
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  if (response.ok) return 'ok';
  if (text === '') return { 403: 'FORBIDDEN', 404: 'AGENT_NOT_FOUND' }[response.status] ?? String(response.status);
  return (JSON.parse(text) as { error: { data: { caisson: { code: string } } } }).error.data.caisson.code;
}

function open(standing: Standing, path: string): WebSocket {
  const url = `${workspace.url.replace('http', 'ws')}/v1/agents/${agentId}/${path}`;
  return new WebSocket(url, ['caisson.v1'], { headers: bearer(standing) });
}

/** The same of a WebSocket: refused at its handshake, or by its first message. */
async function upgrade(standing: Standing, path: string): Promise<string> {
  const socket = open(standing, path);
  socket.on('error', () => undefined);
  const refused = Promise.withResolvers<string>();
  socket.once('unexpected-response', (_request, response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.once('end', () => refused.resolve(codeIn(Buffer.concat(chunks).toString())));
  });
  const spoken = once(socket, 'message').then(([data]: unknown[]) => codeIn(String(data)));
  spoken.catch(() => undefined); // refused before it was open
  const opened = once(socket, 'open');
  opened.catch(() => undefined); // the same
  try {
    // What serves a process speaks first only to refuse; what serves a terminal always does.
    const quiet = opened.then(() => (path.startsWith('processes') ? aroundTheWire(standing) : spoken));
    return await Promise.race([refused.promise, spoken, quiet]);
  } finally {
    socket.terminate();
  }
}

async function aroundTheWire(standing: Standing): Promise<string> {
  await clientOf(standing).system.version.query();
  return 'ok';
}

function codeIn(text: string): string {
  return (/"caisson":{"code":"([A-Z_]+)"/.exec(text) ?? /"code":"([A-Z_]+)"/.exec(text))?.[1] ?? 'ok';
}

const file = 'file?path=a';
const tar = new Uint8Array(1_024); // an empty one
/** Every route; the compiler asks for a new one. */
const requests = {
  'GET /metrics': async (by) => {
    const { status } = await fetch(`${workspace.url}/metrics`, { headers: bearer(by) });
    return status === 403 ? 'FORBIDDEN' : status === 200 ? 'ok' : String(status);
  },
  'GET /v1/agents/:agentId/file': (by) => http(by, 'GET', file),
  'HEAD /v1/agents/:agentId/file': (by) => http(by, 'HEAD', file),
  'PUT /v1/agents/:agentId/file': (by) => http(by, 'PUT', 'file?path=b', new Uint8Array(3)),
  'GET /v1/agents/:agentId/archive': (by) => http(by, 'GET', 'archive?path='),
  'PUT /v1/agents/:agentId/archive': (by) => http(by, 'PUT', 'archive?path=', tar),
  'GET /v1/audit/export': (by) => ask(by, 'GET', 'audit/export'),
  'WS /v1/agents/:agentId/processes/attach': (by) => upgrade(by, 'processes/attach'),
  'WS /v1/agents/:agentId/terminals/:terminalId': (by) =>
    upgrade(by, `terminals/${newTerminalId()}?token=${'t'.repeat(16)}`),
  'WS /v1/agents/:agentId/ports/:port/connect': (by) => upgrade(by, 'ports/9/connect'),
} as const satisfies Record<Route, (by: Standing) => Promise<string>>;

/** With what it ends for those who may, where that is not well. */
const ends: Partial<Record<Route, string>> = {
  'WS /v1/agents/:agentId/terminals/:terminalId': 'TERMINAL_NOT_FOUND',
  'WS /v1/agents/:agentId/ports/:port/connect': 'PORT_NOT_LISTENING',
};

const cells = (Object.keys(routeNeeds) as Route[]).flatMap((route) =>
  (Object.keys(standings) as Standing[]).map((by) => ({ route, by, verdict: verdictOf(routeNeeds[route], by) })),
);

test.each(cells)('$route by $by: $verdict', async ({ route, by, verdict }) => {
  const expected = { yes: ends[route] ?? 'ok', NOT_FOUND: 'AGENT_NOT_FOUND', FORBIDDEN: 'FORBIDDEN' };
  expect(await requests[route](by)).toBe(expected[verdict]);
});

describe('a terminal', () => {
  test('is watched by a viewer, who neither types nor takes the seat', async () => {
    const { id: terminalId } = await workspace.client.terminals.open.mutate({ agentId, command: ['cat'] });
    const attached = open('viewer', `terminals/${terminalId}?token=${'v'.repeat(16)}`);
    const told: string[] = [];
    attached.on('message', (data: Buffer, isBinary) => !isBinary && told.push(data.toString()));
    await until('it is attached', () => told.some((text) => text.includes('"situation"')));
    expect(told.find((text) => text.includes('"situation"'))).toContain('"driver":null');
    attached.send(JSON.stringify({ type: 'take' }));
    await once(attached, 'close');
    expect(told.at(-1)).toContain('"FORBIDDEN"');

    const typing = open('viewer', `terminals/${terminalId}?token=${'w'.repeat(16)}`);
    await once(typing, 'open');
    typing.send(Buffer.from('rm -rf /\n'));
    await once(typing, 'close');
    const { output } = await workspace.client.terminals.get.query({ agentId, terminalId });
    expect(output.end).toBe(0);
    const wish = clientOf('viewer').terminals.attach({ agentId, terminalId, as: 'driver' });
    await expect(wish).rejects.toMatchObject({ code: 'FORBIDDEN' });
    await workspace.client.terminals.close.mutate({ agentId, terminalId });
  });
});

describe('an agent that is shared no more', () => {
  test('is gone at once for what was open: events, waits, processes and sockets, and nothing else of that user', async () => {
    const { client } = workspace;
    const { secret } = await admin.keys.create.mutate({ user: 'guest', role: 'member', name: 'test' });
    const guest = createCaissonClient({ url: workspace.url, apiKey: secret });
    const own = await guest.agents.create.mutate({ name: 'own', wait: true });
    await client.agents.share.mutate({ agentId, user: 'guest', role: 'editor' });

    const events = guest.subscribe({ agentId });
    const reading = (async () => {
      for await (const _ of events);
    })();
    reading.catch(() => undefined); // looked at below
    const exec = guest.processes.exec.mutate({ agentId, command: ['sleep', '86411'] });
    exec.catch(() => undefined); // looked at below
    const elsewhere = guest.processes.exec.mutate({ agentId: own.id, command: ['sleep', '86412'] });
    elsewhere.catch(() => undefined); // looked at below
    const { id: terminalId } = await guest.terminals.open.mutate({ agentId, command: ['cat'] });
    const attachment = await guest.terminals.attach({ agentId, terminalId });
    attachment.closed.catch(() => undefined); // looked at below
    const find = async (by: CaissonClient, id: string, word: string): Promise<number | undefined> => {
      const { tree } = await by.processes.list.query({ agentId: id });
      return tree.find(({ command }) => command.includes(word))?.pid;
    };
    await until('it runs', () => find(client, agentId, '86411'));
    const pid = await until('the other runs', () => find(guest, own.id, '86412'));

    expect(await client.agents.unshare.mutate({ agentId, user: 'guest' })).toEqual({ existed: true });
    await expect(exec).rejects.toMatchObject({ code: 'ACCESS_CHANGED' });
    await expect(reading).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
    await expect(attachment.closed).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
    await until('its process is gone', async () => (await find(client, agentId, '86411')) === undefined);
    await guest.processes.signal.mutate({ agentId: own.id, pid, signal: 'SIGTERM' });
    expect(await elsewhere).toMatchObject({ signal: 'SIGTERM' });
    expect(await client.agents.unshare.mutate({ agentId, user: 'guest' })).toEqual({ existed: false });
  });

  test('is watched on by an editor who becomes a viewer', async () => {
    const { client } = workspace;
    await client.agents.share.mutate({ agentId, user: 'editor', role: 'editor' });
    const { id: terminalId } = await client.terminals.open.mutate({ agentId, command: ['cat'] });
    const attachment = await clientOf('editor').terminals.attach({ agentId, terminalId });
    expect(attachment.isDriver).toBe(true);
    await client.agents.share.mutate({ agentId, user: 'editor', role: 'viewer' });
    await until('the seat is lost', () => !attachment.isDriver);
    await attachment.detach();
    await client.terminals.close.mutate({ agentId, terminalId });
    await client.agents.share.mutate({ agentId, user: 'editor', role: 'editor' });
  });
});
