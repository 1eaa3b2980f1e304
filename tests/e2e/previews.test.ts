import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ensureChromium } from '../../scripts/chromium.ts';
import { repositoryRoot } from '../../scripts/harness-install.ts';
import type { Agent, AgentEvent } from '../../src/client/index.ts';
import { type AgentId, agentIdSchema } from '../../src/kernel/ids.ts';
import { GuestClient } from '../../src/wire/guest-client.ts';
import { outputsOf } from '../guest/processes/outputs.ts';
import { startTestControlPlane, type TestControlPlane } from './support/control-plane.ts';
import { inside } from './support/inside.ts';

let controlPlane: TestControlPlane;
let browser: Browser;
let agent: Agent;
let agentId: AgentId;
/** Where pictures of what the browser shows go, for people to look at. */
const pictures = process.env['CAISSON_TEST_PICTURES'];

beforeAll(async () => {
  controlPlane = await startTestControlPlane();
  agent = await controlPlane.client.agents.create.mutate({ name: 'dev', wait: true });
  agentId = agentIdSchema.parse(agent.id);
  browser = await chromium.launch({
    executablePath: await ensureChromium(() => undefined),
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  });
}, 300_000);
afterAll(async () => {
  await browser.close();
  await controlPlane[Symbol.asyncDispose]();
}, 120_000);

/** Starts a command in the sandbox that goes on until the sandbox stops. */
async function start(id: AgentId, command: string): Promise<void> {
  const { exitCode } = await inside(controlPlane.provider, id, `setsid nohup ${command} >/tmp/app.log 2>&1 & exit 0`);
  expect(exitCode).toBe(0);
}

async function shell(id: AgentId, script: string, input = ''): Promise<string> {
  const { exitCode, stdout, stderr } = await inside(controlPlane.provider, id, script, input);
  if (exitCode !== 0) throw new Error(stderr);
  return stdout;
}

async function listening(id: AgentId, port: number): Promise<void> {
  await expect
    .poll(async () => (await controlPlane.client.ports.list.query({ agentId: id })).items.map((each) => each.port), {
      timeout: 60_000,
    })
    .toContain(port);
}

async function picture(page: Page, name: string): Promise<void> {
  if (pictures !== undefined) await page.screenshot({ path: join(pictures, `${name}.png`) });
}

async function newPage(options: { colorScheme?: 'light' | 'dark' } = {}): Promise<Page> {
  const context: BrowserContext = await browser.newContext({ viewport: { width: 1024, height: 640 }, ...options });
  return await context.newPage();
}

/** The folders of the packages that Vite runs on, a line each, as seen from the root of the repository. */
function vitePackages(): string {
  const folders = new Set<string>();
  const add = (name: string, from: string): void => {
    const folder = [from, repositoryRoot].map((at) => join(at, 'node_modules', name)).find((at) => existsSync(at));
    if (folder === undefined || folders.has(folder)) return; // a package for another machine, or there already
    folders.add(folder);
    const { dependencies = {}, optionalDependencies = {} } = manifestSchema.parse(
      JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')),
    );
    for (const next of Object.keys({ ...dependencies, ...optionalDependencies })) add(next, folder);
  };
  add('vite', repositoryRoot);
  return [...folders].map((folder) => relative(repositoryRoot, folder)).join('\n');
}

const manifestSchema = z.object({
  dependencies: z.record(z.string(), z.string()).optional(),
  optionalDependencies: z.record(z.string(), z.string()).optional(),
});

/** Puts a project with Vite into the workspace: an archive through the wire, unpacked there. */
async function putProject(): Promise<void> {
  const archive = spawn('tar', ['-C', repositoryRoot, '-cf', '-', '-T', '-'], { stdio: ['pipe', 'pipe', 'inherit'] });
  archive.stdin.end(vitePackages());
  const guest = new GuestClient(await controlPlane.provider.connect(agentId, 'inward'));
  try {
    const unpack = await guest.processes.attach({ command: ['tar', '-C', '/workspace', '-xf', '-'] });
    await Promise.all([pipeline(archive.stdout, unpack.stdin), once(archive, 'close'), outputsOf(unpack)]);
    expect(await unpack.exit).toMatchObject({ exitCode: 0 });
  } finally {
    await guest.close();
  }
  const files: Readonly<Record<string, string>> = {
    'package.json': '{ "type": "module" }',
    'index.html':
      '<!doctype html><title>Demo</title><link rel="stylesheet" href="/style.css"><h1 id="text"></h1><p id="state">kept</p><script type="module" src="/main.js"></script>',
    'style.css': 'body { font-family: sans-serif; margin: 4rem; } h1 { color: rgb(0, 0, 255); }',
    'main.js':
      "import { text } from './text.js';\ndocument.querySelector('#text').textContent = text;\nimport.meta.hot.accept('./text.js', (next) => (document.querySelector('#text').textContent = next.text));",
    'text.js': "export const text = 'first';",
  };
  for (const [name, content] of Object.entries(files)) await shell(agentId, `cat >/workspace/${name}`, content);
}

describe('a dev server in a sandbox', () => {
  test('loads in a browser, hot-reloads by WebSocket, and stops loading when its link is revoked', async () => {
    await putProject();
    await start(agentId, 'sh -c "cd /workspace && node node_modules/vite/bin/vite.js --port 5173 --strictPort"');
    await listening(agentId, 5173);
    const made = await controlPlane.client.previews.create.mutate({ agentId, port: 5173 });
    const page = await newPage();
    const sockets: string[] = [];
    page.on('websocket', (socket) => sockets.push(socket.url()));
    await page.goto(made.url);
    expect(page.url()).toBe(`${made.origin}/`);
    await page.locator('#text', { hasText: 'first' }).waitFor();
    expect(sockets[0]).toContain(new URL(made.origin).host);
    await picture(page, 'vite');

    // What scripts put into the page stays there: it was not loaded again.
    await page.evaluate("document.querySelector('#state').textContent = 'mine'");
    await shell(agentId, 'cat >/workspace/text.js', "export const text = 'second';");
    await page.locator('#text', { hasText: 'second' }).waitFor();
    await shell(agentId, "sed -i 's/0, 0, 255/255, 0, 0/' /workspace/style.css");
    await expect
      .poll(() => page.evaluate("getComputedStyle(document.querySelector('h1')).color"), { timeout: 20_000 })
      .toBe('rgb(255, 0, 0)');
    expect(await page.locator('#state').textContent()).toBe('mine');

    // Our cookie is out of reach of the page's scripts.
    expect(await page.evaluate('document.cookie')).toBe('');

    await controlPlane.client.previews.revoke.mutate({ previewId: made.id });
    const answer = await page.goto(made.origin);
    expect(answer?.status()).toBe(410);
    await page.getByRole('heading', { name: 'This preview is over' }).waitFor();
    await picture(page, 'ended');
    await page.context().close();
  }, 180_000);
});

describe('an app that has stopped', () => {
  const serve = "node -e \"require('http').createServer((q, s) => s.end('<h1>back</h1>')).listen(8123)\"";

  test('has a page that opens it when it is there, in light and dark', async () => {
    await start(agentId, "node -e \"require('http').createServer((q, s) => s.end('other')).listen(8124)\"");
    await listening(agentId, 8124);
    const made = await controlPlane.client.previews.create.mutate({ agentId, port: 8123, access: 'shared' });
    for (const colorScheme of ['light', 'dark'] as const) {
      const page = await newPage({ colorScheme });
      const errors: string[] = [];
      page.on('console', (message) => {
        if (message.text().includes('Content Security Policy')) errors.push(message.text());
      });
      const answer = await page.goto(made.url);
      expect(answer?.status()).toBe(502);
      await page.getByRole('heading', { name: 'Nothing listens on port 8123' }).waitFor();
      await page.getByText('8124').waitFor();
      await picture(page, `stopped-${colorScheme}`);
      expect(errors).toEqual([]);
      if (colorScheme === 'light') await page.context().close();
      else {
        await start(agentId, serve);
        await page.getByRole('heading', { name: 'back' }).waitFor({ timeout: 60_000 });
        await page.context().close();
      }
    }
    const stranger = await newPage();
    expect((await stranger.goto(made.origin))?.status()).toBe(403);
    await stranger.getByRole('heading', { name: 'This address needs a preview link' }).waitFor();
    await picture(stranger, 'forbidden');
    await stranger.context().close();
  }, 120_000);
});

test('two agents with an app on the same port are never taken for each other', async () => {
  const { client } = controlPlane;
  const other = await client.agents.create.mutate({ name: 'other', wait: true });
  const agents = [agentId, agentIdSchema.parse(other.id)] as const;
  const page = await newPage();
  const links: string[] = [];
  for (const id of agents) {
    await start(
      id,
      `node -e "require('http').createServer((q, s) => { s.setHeader('set-cookie', ['app=${id}; Domain=preview.localhost', 'caisson-preview=x']); s.end(JSON.stringify({ id: '${id}', cookie: q.headers.cookie })) }).listen(9000, '127.0.0.1')"`,
    );
    await listening(id, 9000);
    links.push((await client.previews.create.mutate({ agentId: id, port: 9000 })).url);
  }
  for (const url of links) await page.goto(url);
  for (const [at, id] of agents.entries()) {
    await page.goto(new URL(links[at] ?? '').origin);
    const shown = JSON.parse((await page.textContent('body')) ?? '') as { id: string; cookie?: string };
    expect(shown).toEqual({ id, cookie: `app=${id}` });
  }
  await page.context().close();
  await client.agents.delete.mutate({ agentId: other.id });
});

test('ports that open and close are events, once each, also when they flap', async () => {
  const { client } = controlPlane;
  const { seq } = await client.agents.status.query({ agentId });
  const events: AgentEvent[] = [];
  const stop = new AbortController();
  const following = (async () => {
    for await (const event of client.subscribe({ agentId, after: seq, signal: stop.signal })) {
      if (event.type === 'port.opened' || event.type === 'port.closed') events.push(event);
    }
  })();
  const told = (): string[] =>
    events.flatMap((event) =>
      event.type.startsWith('port.') && 'port' in event ? [`${event.type} ${event.port}`] : [],
    );
  await start(agentId, 'node -e "require(\'http\').createServer().listen(7001)" marker-of-7001');
  await expect.poll(told, { timeout: 30_000 }).toContain('port.opened 7001');
  const opened = events.find((event) => event.type === 'port.opened' && event.port === 7001);
  expect(opened).toMatchObject({ command: expect.stringContaining('marker-of-7001') as string });
  expect(opened).toMatchObject({ pid: expect.any(Number) as number, runId: null, conversationId: null });
  await shell(agentId, 'pkill -f marker-of-7001');
  await expect.poll(told, { timeout: 30_000 }).toContain('port.closed 7001');
  expect(told().filter((each) => each.endsWith(' 7001'))).toHaveLength(2);

  // The guest's own port is nobody's business.
  expect(told().filter((each) => each.endsWith(' 7777'))).toEqual([]);
  stop.abort();
  await following;
}, 120_000);
