import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { tmpdir } from 'node:os';
import { Readable, Writable } from 'node:stream';
import { client as acpClient, methods, ndJsonStream } from '@agentclientprotocol/sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { codeBlocks } from '../docs/markdown.ts';
import { cloneRepository, repositoryRoot } from '../package/installed-package.ts';
import { testSettings } from './support/control-plane.ts';
import { type ControlPlaneProcess, freePort, spawnControlPlane } from './support/control-plane-process.ts';

const readme = join(repositoryRoot, 'README.md');
const undo = new AsyncDisposableStack();
let plane: ControlPlaneProcess;
let adminKey: string;
/** What is there instead of the default port and directory. */
let environment: Record<string, string>;

beforeAll(async () => {
  const { environment: all } = await testSettings(undo);
  const settings = Object.fromEntries(Object.entries(all).filter(([name]) => !name.startsWith('CAISSON_MODEL_')));
  const port = String(await freePort());
  plane = undo.use(await spawnControlPlane({ ...settings, CAISSON_PORT: port })); // with the demo model
  const dataDir = settings['CAISSON_DATA_DIR'] ?? '';
  adminKey = (await readFile(join(dataDir, 'admin.key'), 'utf8')).trim();
  environment = {
    PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter),
    HOME: process.env['HOME'] ?? '',
    // Networks that sign anew what comes in: npm needs their authority.
    ...(process.env['NODE_EXTRA_CA_CERTS'] && { NODE_EXTRA_CA_CERTS: process.env['NODE_EXTRA_CA_CERTS'] }),
    CAISSON_URL: plane.url,
    CAISSON_DATA_DIR: dataDir,
    npm_config_prefer_offline: 'true',
    npm_config_audit: 'false',
  };
});
afterAll(() => undo.disposeAsync());

interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs lines of a shell that stops at the first one that fails. */
async function shell(script: string, cwd: string, input = ''): Promise<Ended> {
  const child = execFile('bash', ['-e', '-c', script], { cwd, env: environment });
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (text: string) => (stdout += text));
  child.stderr?.on('data', (text: string) => (stderr += text));
  child.stdin?.end(input);
  await once(child, 'close');
  return { exitCode: child.exitCode, stdout, stderr };
}

async function blocks(language: string, containing: string): Promise<string> {
  const found = (await codeBlocks(readme, language)).filter((block) => block.includes(containing));
  expect(found, `the ${language} of the README with "${containing}"`).toHaveLength(1);
  return found[0] ?? '';
}

async function temporaryDirectory(held: AsyncDisposableStack): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'caisson-readme-'));
  held.defer(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

test('"A first agent": each line does what it says', async () => {
  const lines = (await blocks('sh', 'agents create demo')).trim().split('\n');
  const [create = '', send = '', chat = '', events = '', cat = '', list = '', diff = '', remove = ''] = lines;
  expect(lines).toHaveLength(8);
  const run = async (line: string, input?: string): Promise<string> => {
    const { exitCode, stdout, stderr } = await shell(line, repositoryRoot, input);
    expect(exitCode, `${line}\n${stdout}${stderr}`).toBe(0);
    return stdout + stderr;
  };
  expect(await run(create)).toMatch(/demo/);
  expect(await run(send)).toMatch(/hello\.txt/);
  expect(await run(chat, 'say it again\n')).not.toBe('');
  const told = (await run(events))
    .trim()
    .split('\n')
    .map((line) => z.object({ seq: z.int(), type: z.string() }).parse(JSON.parse(line)));
  expect(told.map(({ seq }) => seq)).toEqual(told.map((_, i) => i + 1));
  expect(told.map(({ type }) => type)).toEqual(
    expect.arrayContaining(['agent.created', 'tool.completed', 'message.completed', 'run.completed']),
  );
  expect(await run(cat)).not.toBe('');
  expect(await run(list)).toContain('hello.txt');
  expect(await run(diff)).toBeDefined();
  await run(remove);
  expect((await plane.client.agents.list.query()).items).toEqual([]);
});

test('the demo model that answers is called so in the usage, and costs nothing', async () => {
  await using held = new AsyncDisposableStack();
  const { id: agentId } = await plane.client.agents.create.mutate({ name: 'free', wait: true });
  held.defer(async () => void (await plane.client.agents.delete.mutate({ agentId })));
  const { id: conversationId } = await plane.client.conversations.open.mutate({ agentId });
  const { run, reply } = await plane.client.send({ agentId, conversationId, text: 'say hello' });
  expect([run.state, reply]).toEqual(['completed', 'hello']);
  const calls = async (): Promise<unknown> => (await plane.client.usage.calls.query({ agentId })).items;
  await expect.poll(calls).toContainEqual(
    expect.objectContaining({
      runId: run.id,
      model: 'demo',
      priceVersion: 'demo',
      costMicros: 0,
      isEstimated: false,
    }),
  );
  const { quotas } = await plane.client.quotas.get.query({ of: { agentId } });
  expect(quotas.find(({ dimension }) => dimension === 'cost')?.used).toBe(0);
  expect(quotas.find(({ dimension }) => dimension === 'tokens')?.used).toBeGreaterThan(0);
});

test('the configuration of an editor: started anywhere else, the bridge opens a session', async () => {
  await using held = new AsyncDisposableStack();
  const { id: agentId } = await plane.client.agents.create.mutate({ name: 'demo', wait: true });
  held.defer(async () => void (await plane.client.agents.delete.mutate({ agentId })));
  const server = z.object({ command: z.string(), args: z.array(z.string()), env: z.record(z.string(), z.string()) });
  const settings = z
    .object({ agent_servers: z.object({ Caisson: server }) })
    .parse(JSON.parse(await blocks('json', 'agent_servers')));
  const { command, args, env } = settings.agent_servers.Caisson;
  expect(Object.keys(env)).toEqual(['CAISSON_URL', 'CAISSON_API_KEY']);
  const child = spawn(
    command,
    args.map((arg) => (arg === '/path/to/this/directory' ? repositoryRoot : arg)),
    {
      cwd: await temporaryDirectory(held),
      env: { PATH: environment['PATH'], HOME: environment['HOME'], CAISSON_URL: plane.url, CAISSON_API_KEY: adminKey },
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  held.defer(() => void child.kill());
  const ended = once(child, 'close');
  const editor = acpClient({ name: 'editor' })
    .onNotification(methods.client.session.update, () => undefined)
    .connect(ndJsonStream(Writable.toWeb(child.stdin), Readable.toWeb(child.stdout)));
  await editor.agent.request(methods.agent.initialize, { protocolVersion: 1, clientCapabilities: {} });
  const opened = await editor.agent.request(methods.agent.session.new, { cwd: '/home/me/project', mcpServers: [] });
  expect((await plane.client.conversations.get.query({ conversationId: opened.sessionId })).agentId).toBe(agentId);
  child.stdin.end();
  await ended;
});

test('"From TypeScript": its lines make a project in which the example runs, and runs again', async () => {
  await using held = new AsyncDisposableStack();
  const directory = await temporaryDirectory(held);
  const clone = join(directory, 'clone');
  await cloneRepository(clone);
  await mkdir(join(clone, '.caisson'));
  await writeFile(join(clone, '.caisson/admin.key'), `${adminKey}\n`);
  const example = (await blocks('ts', 'createCaissonClient')).replace('http://127.0.0.1:7070', plane.url);
  await mkdir(join(directory, 'worker'));
  await writeFile(join(directory, 'worker/worker.ts'), example);

  // Somebody's own Node, which is too old for all of it.
  const tooOld = join(directory, 'old');
  await mkdir(tooOld);
  await writeFile(join(tooOld, 'node'), '#!/bin/sh\nexit 9\n', { mode: 0o755 });

  const script = `export PATH="${tooOld}:$PATH"\n${await blocks('sh', 'npm pack')}\nnode worker.ts\nnode worker.ts`;
  const { exitCode, stdout, stderr } = await shell(script, clone);
  expect(exitCode, stdout + stderr).toBe(0);
  expect(stdout.match(/^completed .*$/gm)).toHaveLength(2);
  const { items } = await plane.client.agents.list.query();
  expect(items.map(({ name }) => name)).toEqual(['worker']);
}, 300_000);
