import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCaissonClient } from '../../../src/client/index.ts';
import { newAgentId } from '../../../src/kernel/ids.ts';
import { type RunningWorkspace, startWorkspace } from '../workspace/running-workspace.ts';
import { type App, echo, startApp } from './app.ts';
import { Visitor } from './visitor.ts';

let workspace: RunningWorkspace;
let app: App;
let port: number;
beforeAll(async () => {
  workspace = await startWorkspace();
  app = await startApp(echo);
  ({ port } = app);
});
afterAll(async () => {
  await app[Symbol.asyncDispose]();
  await workspace[Symbol.asyncDispose]();
});

async function link(options: { access?: 'owner' | 'shared'; port?: number; expiresIn?: number } = {}) {
  return await workspace.client.previews.create.mutate({ agentId: workspace.agent.id, port, ...options });
}

const html = { accept: 'text/html' };

describe('a link', () => {
  test('is exchanged for a cookie of its host, and the address is cleaned', async () => {
    const made = await link();
    expect(made.origin).toBe(`http://${port}-${workspace.agent.id}.preview.localhost:${new URL(workspace.url).port}`);
    const visitor = new Visitor(workspace.url);
    const opened = made.url.replace('/?', '/a%20page/?x=%41&') + '&y=2';
    const first = await visitor.visit(opened);
    expect(first.status).toBe(303);
    expect(first.headers.location).toBe(`${made.origin}/a%20page/?x=%41&y=2`);
    expect(first.headers['referrer-policy']).toBe('no-referrer');
    expect(first.headers['cache-control']).toBe('no-store');
    const [cookie = ''] = first.headers['set-cookie'] ?? [];
    expect(cookie).toMatch(/^caisson-preview=pvw-\S+; Path=\/; Max-Age=3[56]\d\d; HttpOnly; SameSite=Lax$/);
    const second = await visitor.visit(first.headers.location ?? '');
    expect(second.status).toBe(200);
    expect(JSON.parse(second.text)).toMatchObject({ url: '/a%20page/?x=%41&y=2' });
  });

  test('never leads to another site', async () => {
    const made = await link();
    const { host } = new URL(made.url);
    const token = new URL(made.url).search;
    const answer = await new Visitor(workspace.url).visit(made.url, { path: `//evil.example/${token}` });
    expect(answer.headers.location).toBe(`http://${host}//evil.example/`);
  });

  test('of its owner works once, and again only for the browser that has it', async () => {
    const made = await link();
    const visitor = new Visitor(workspace.url);
    expect((await visitor.open(made.url)).status).toBe(200);
    expect((await visitor.open(made.url)).status).toBe(200);
    const late = await new Visitor(workspace.url).open(made.url);
    expect(late.status).toBe(410);
    expect(late.text).toContain('opened already');
    expect((await workspace.client.previews.get.query({ previewId: made.id })).openedAt).not.toBeNull();
  });

  test('of its owner lets one in of many who come at once', async () => {
    const made = await link();
    const answers = await Promise.all(Array.from({ length: 20 }, () => new Visitor(workspace.url).visit(made.url)));
    expect(answers.filter(({ status }) => status === 303)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 410)).toHaveLength(19);
  });

  test('that is shared works for everyone who has it', async () => {
    const made = await link({ access: 'shared' });
    for (let n = 0; n < 3; n++) expect((await new Visitor(workspace.url).open(made.url)).status).toBe(200);
  });

  test('is not spent by a HEAD, a prefetch or a POST', async () => {
    const made = await link();
    const visitor = new Visitor(workspace.url);
    expect((await visitor.visit(made.url, { method: 'HEAD' })).status).toBe(403);
    expect((await visitor.visit(made.url, { headers: { 'sec-purpose': 'prefetch' } })).status).toBe(403);
    expect((await visitor.visit(made.url, { method: 'POST' })).status).toBe(403);
    expect((await visitor.open(made.url)).status).toBe(200);
  });

  test('of another agent, another port, or nobody opens nothing', async () => {
    const made = await link({ access: 'shared' });
    const { search } = new URL(made.url);
    const other = await link({ port: port === 65_535 ? 1 : port + 1 });
    const visitor = new Visitor(workspace.url);
    for (const url of [
      `${other.origin}/${search}`,
      `${made.origin.replace(workspace.agent.id, newAgentId())}/${search}`,
      `${made.origin}/?caisson-preview=cpv_${'A'.repeat(43)}`,
      `${made.origin}/?caisson-preview=%00`,
      `${made.origin}/`,
    ]) {
      const answer = await visitor.open(url);
      expect(answer.status).toBe(403);
      expect(answer.headers['set-cookie']).toBeUndefined();
      expect(JSON.parse(answer.text)).toMatchObject({ error: { code: 'PREVIEW_FORBIDDEN' } });
    }
  });
});

describe('a cookie', () => {
  test('opens its own preview only', async () => {
    const made = await link();
    const visitor = new Visitor(workspace.url);
    await visitor.open(made.url);
    const cookie = visitor.cookie(made.url) ?? '';
    const other = await link({ port: port === 65_535 ? 1 : port + 1 });
    visitor.setCookie(other.url, cookie);
    expect((await visitor.visit(other.origin)).status).toBe(403);
    visitor.setCookie(made.url, `${cookie.slice(0, -2)}AA`);
    expect((await visitor.visit(made.origin)).status).toBe(403);
  });

  test('is found beside others of its name, which apps of the domain may have planted', async () => {
    const made = await link();
    const visitor = new Visitor(workspace.url);
    await visitor.open(made.url);
    visitor.setCookie(made.url, `caisson-preview=planted; ${visitor.cookie(made.url)}; theme=dark`);
    const answer = await visitor.visit(made.origin);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toMatchObject({ headers: { cookie: 'theme=dark' } });
  });

  test('is found behind any number of planted ones, also of names that differ in case only', async () => {
    const made = await link();
    const visitor = new Visitor(workspace.url);
    await visitor.open(made.url);
    const planted = Array.from(
      { length: 100 },
      (_, n) => `${n % 2 === 0 ? 'caisson-preview' : 'Caisson-Preview'}=${n}`,
    );
    visitor.setCookie(made.url, [...planted, visitor.cookie(made.url), 'theme=dark'].join('; '));
    const answer = await visitor.visit(made.origin);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toMatchObject({ headers: { cookie: 'theme=dark' } });
  });

  test('of a preview that has expired is told so', async () => {
    const made = await link({ expiresIn: 1_000 });
    const visitor = new Visitor(workspace.url);
    expect((await visitor.open(made.url)).status).toBe(200);
    await expect
      .poll(async () => (await visitor.visit(made.origin, { headers: html })).status, { timeout: 20_000 })
      .toBe(410);
    const page = await visitor.visit(made.origin, { headers: html });
    expect(page.text).toContain('This preview has expired.');
    expect((await new Visitor(workspace.url).open(made.url)).status).toBe(410);
  });
});

describe('hosts', () => {
  test('of the preview domain that stand for nothing are not found, and none of them reaches the API', async () => {
    const visitor = new Visitor(workspace.url);
    const { port: own } = new URL(workspace.url);
    for (const host of [
      'preview.localhost',
      'x.preview.localhost',
      `0-${workspace.agent.id}.preview.localhost`,
      `99999-${workspace.agent.id}.preview.localhost`,
      `a.${port}-${workspace.agent.id}.preview.localhost`,
      `${port}-${workspace.agent.id}.preview.localhost.`,
      `${port}-agt-x.preview.localhost`,
    ]) {
      for (const path of ['/', '/healthz', '/trpc/system.health']) {
        const answer = await visitor.visit(`http://127.0.0.1:${own}${path}`, { headers: { host } });
        expect([host, path, answer.status]).toEqual([host, path, 404]);
      }
    }
  });

  test('of previews do not reach the API, also with an API key', async () => {
    const made = await link();
    const visitor = new Visitor(workspace.url);
    const headers = { authorization: `Bearer ${workspace.apiKey}` };
    expect((await visitor.visit(`${made.origin}/trpc/system.version`, { headers })).status).toBe(403);
    await visitor.open(made.url);
    const answer = await visitor.visit(`${made.origin}/trpc/system.version`, { headers });
    expect(JSON.parse(answer.text)).toMatchObject({ url: '/trpc/system.version' });
    expect(answer.text).not.toContain(workspace.apiKey);
  });

  test('of previews say what to do about more cookies than headers can hold', async () => {
    const made = await link();
    const { host } = new URL(made.origin);
    // As apps plant them: for the whole domain, 4 KB each.
    const cookies = Array.from({ length: 17 }, (_, n) => `c${n}=${'x'.repeat(4_090)}`).join('; ');
    const bytes = `GET / HTTP/1.1\r\nHost: ${host}\r\nCookie: ${cookies}\r\n\r\n`;
    expect(await new Visitor(workspace.url).raw(bytes)).toMatch(
      /^HTTP\/1\.1 431 [^]*text\/plain[^]*delete the cookies of preview\.localhost/,
    );
  });

  test('of the API do not reach previews, and foreign names reach nothing', async () => {
    const visitor = new Visitor(workspace.url);
    expect((await visitor.visit(`${workspace.url}/`, { headers: { host: 'evil.example' } })).status).toBe(403);
    const made = await link({ access: 'shared' });
    expect((await visitor.visit(`${workspace.url}/${new URL(made.url).search}`)).headers['set-cookie']).toBeUndefined();
  });
});

describe('the calls', () => {
  test('of a stranger find neither agent nor preview', async () => {
    const made = await link();
    const { previews, ports } = workspace.stranger;
    const agentId = workspace.agent.id;
    await expect(previews.create.mutate({ agentId, port })).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
    await expect(previews.list.query({ agentId })).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
    await expect(ports.list.query({ agentId })).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
    for (const call of [previews.get.query, previews.revoke.mutate]) {
      await expect(call({ previewId: made.id })).rejects.toMatchObject({ code: 'PREVIEW_NOT_FOUND' });
    }
  });

  test('list what was made without its secret, and refuse more time than is allowed', async () => {
    const made = await link({ expiresIn: 60_000 });
    const { items } = await workspace.client.previews.list.query({ agentId: workspace.agent.id });
    expect(items[0]).toMatchObject({ id: made.id, state: 'active', access: 'owner', port });
    expect(JSON.stringify(items)).not.toContain('cpv_');
    expect(made.expiresAt - made.createdAt).toBe(60_000);
    await expect(link({ expiresIn: 8 * 24 * 3_600_000 })).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  });

  test('make at most 50 previews of an agent that can be used, and forget the oldest that are over', async () => {
    const client = createCaissonClient({ url: workspace.url, apiKey: workspace.apiKey });
    const { id: agentId } = await client.agents.create.mutate({ name: 'many' });
    for (let n = 0; n < 50; n++) await client.previews.create.mutate({ agentId, port: 3000 });
    await expect(client.previews.create.mutate({ agentId, port: 3000 })).rejects.toMatchObject({
      code: 'LIMIT_REACHED',
    });
    for (let round = 0; round < 2; round++) {
      const { items } = await client.previews.list.query({ agentId });
      for (const { id: previewId } of items) await client.previews.revoke.mutate({ previewId });
      for (let n = 0; n < 50; n++) await client.previews.create.mutate({ agentId, port: 3000 });
    }
    expect((await client.previews.list.query({ agentId })).items).toHaveLength(100);
  });
});
