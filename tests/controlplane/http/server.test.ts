import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { newAgentId, newConversationId } from '../../../src/kernel/ids.ts';
import { createCaissonClient } from '../../../src/client/index.ts';
import { acceptedHosts } from '../../../src/controlplane/http/accepted-hosts.ts';
import { subscriptionPaths } from '../../../src/controlplane/http/trpc-route.ts';
import { until } from '../../until.ts';
import { procedureTypes } from '../procedure-types.ts';
import { answer, bearer, type RunningServer, startServer } from '../running-server.ts';

let server: RunningServer;
beforeAll(async () => {
  server = await startServer({ settings: { maxBodyBytes: 100_000, allowedHosts: ['Caisson.Example'] } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const json = { 'content-type': 'application/json' };

function post(path: string, body: string, headers: Record<string, string> = json): Promise<Response> {
  return fetch(`${server.url}${path}`, { method: 'POST', headers: { ...bearer(server.alice), ...headers }, body });
}

/** Sends bytes and reads what comes back until the server ends. */
async function raw(text: string): Promise<string> {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.write(text);
  let received = '';
  for await (const chunk of socket) received += String(chunk);
  return received;
}

describe('every refusal is typed', () => {
  test.each([
    ['JSON that is none', '/trpc/agents.create', '{"name":', json, 400, 'BAD_REQUEST'],
    ['an array', '/trpc/agents.create', '[]', json, 400, 'BAD_REQUEST'],
    ['null', '/trpc/agents.create', 'null', json, 400, 'BAD_REQUEST'],
    ['no body', '/trpc/agents.create', '', json, 400, 'BAD_REQUEST'],
    ['text', '/trpc/agents.create', '{"name":"x"}', { 'content-type': 'text/plain' }, 415, 'BAD_REQUEST'],
    [
      'a form',
      '/trpc/agents.create',
      'name=x',
      { 'content-type': 'application/x-www-form-urlencoded' },
      415,
      'BAD_REQUEST',
    ],
    ['bytes', '/trpc/agents.create', 'x', { 'content-type': 'application/octet-stream' }, 415, 'BAD_REQUEST'],
    ['a body above the bound', '/trpc/agents.create', JSON.stringify('x'.repeat(100_001)), json, 413, 'BODY_TOO_LARGE'],
    ['a procedure that is none', '/trpc/agents.destroy', '{}', json, 404, 'BAD_REQUEST'],
    ['a name of Object.prototype', '/trpc/__proto__', '{}', json, 404, 'BAD_REQUEST'],
    ['another one', '/trpc/constructor', '{}', json, 404, 'BAD_REQUEST'],
    ['a path of nested names', '/trpc/agents.__proto__.constructor', '{}', json, 404, 'BAD_REQUEST'],
    ['a garbled path', '/trpc/%E0%A4%A', '{}', json, 400, 'BAD_REQUEST'],
    ['a path that is none', '/nothing', '{}', json, 404, 'BAD_REQUEST'],
    ['POST of a query', '/trpc/agents.list', '{}', json, 405, 'BAD_REQUEST'],
    ['a subscription by POST', '/trpc/events.subscribe', '{}', json, 405, 'BAD_REQUEST'],
    [
      '__proto__ as a field',
      '/trpc/agents.create',
      '{"name":"x","__proto__":{"admin":true}}',
      json,
      400,
      'BAD_REQUEST',
    ],
    [
      'constructor as a field',
      '/trpc/agents.create',
      '{"name":"x","constructor":{"prototype":{}}}',
      json,
      400,
      'BAD_REQUEST',
    ],
    ['a very long path', `/trpc/${'x'.repeat(5_000)}`, '{}', json, 414, 'BAD_REQUEST'],
  ])('POST with %s', async (_what, path, body, headers, status, code) => {
    const refused = await answer(post(path, body, headers));
    expect([refused.status, refused.error?.code]).toEqual([status, code]);
    expect(refused.error?.message).not.toMatch(/trpc|zod|stack|node_modules/i);
    expect(refused.text).not.toMatch(/stack|node_modules|\.ts:/);
    expect(Object.hasOwn(Object.prototype, 'admin')).toBe(false);
  });

  test('a browser that opens an address where nothing is gets a page, and a program JSON', async () => {
    const page = await fetch(`${server.url}/<b>nope`, {
      headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' },
    });
    expect([page.status, page.headers.get('content-type')]).toEqual([404, 'text/html; charset=utf-8']);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    const html = await page.text();
    expect(html).toContain('<h1>Not Found</h1>');
    expect(html).toContain('<a href="/">');
    expect(html).not.toContain('<b>');
    const refused = await answer(fetch(`${server.url}/nope`));
    expect([refused.status, refused.error?.code]).toEqual([404, 'BAD_REQUEST']);
  });

  test('GET of a mutation is refused, whatever its input', async () => {
    const refused = await server.query(server.alice, 'agents.create', { name: 'by-get' });
    expect([refused.status, refused.error?.code]).toEqual([405, 'BAD_REQUEST']);
    expect((await server.query(server.alice, 'agents.get', { name: 'by-get' })).status).toBe(404);
  });

  test('deep JSON and long arrays are refused without harm', async () => {
    const deep = `${'['.repeat(40_000)}${']'.repeat(40_000)}`;
    expect((await answer(post('/trpc/agents.create', deep))).error?.code).toBe('BAD_REQUEST');
    const long = JSON.stringify({ conversationId: 'x', message: Array.from({ length: 5_000 }, () => 1) });
    const refused = await answer(post('/trpc/runs.start', long));
    expect(refused.error?.code).toBe('BAD_REQUEST');
    expect(refused.text.length).toBeLessThan(5_000);
  });

  test('a batch works, and a huge one is refused', async () => {
    const batch = await fetch(`${server.url}/trpc/system.health,agents.list?batch=1`, {
      headers: bearer(server.alice),
    });
    expect(await batch.json()).toMatchObject([
      { result: { data: { status: 'ok' } } },
      { result: { data: { items: [] } } },
    ]);
    const paths = Array.from({ length: 51 }, () => 'system.health').join(',');
    const refused = await answer(fetch(`${server.url}/trpc/${paths}?batch=1`));
    expect([refused.status, refused.error?.code]).toEqual([400, 'BAD_REQUEST']);
  });

  test.each([
    ['no key', {}],
    ['another scheme', { authorization: 'Basic YTpi' }],
    ['no key after Bearer', { authorization: 'Bearer' }],
    ['a key that never was', { authorization: `Bearer ck_${'A'.repeat(43)}` }],
    ['a key of another form', { authorization: 'Bearer sk-123' }],
    ['the key in the query only', {}],
  ])('%s is unauthorized, also where the input is wrong', async (what, headers) => {
    const query = what.includes('query') ? `?key=${server.alice.secret}` : '';
    for (const body of ['{"name":"x"}', '{']) {
      const response = fetch(`${server.url}/trpc/agents.create${query}`, {
        method: 'POST',
        headers: { ...json, ...headers },
        body,
      });
      const refused = await answer(response);
      expect([refused.status, refused.error?.code]).toEqual([401, 'UNAUTHORIZED']);
    }
  });

  test('bytes that are not HTTP are answered and the connection is closed', async () => {
    const received = await raw('HELLO\r\n\r\n');
    expect(received).toMatch(/^HTTP\/1\.1 400 /);
    expect(JSON.parse(received.split('\r\n\r\n')[1] ?? '')).toMatchObject({
      error: { data: { caisson: { code: 'BAD_REQUEST' } } },
    });
    expect(await raw(`GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'y'.repeat(70_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 431 /,
    );
  });

  test('a defect is logged with the id of the request, of which alone the caller is told', async () => {
    const { agents } = server.storage;
    const listAgents = agents.listAgents.bind(agents);
    agents.listAgents = async () => {
      throw new TypeError('secret internals');
    };
    const refused = await server.query(server.alice, 'agents.list');
    agents.listAgents = listAgents;
    expect([refused.status, refused.error?.code]).toEqual([500, 'INTERNAL']);
    expect(refused.text).not.toContain('internals');
    const line = server.log.find(({ level }) => level === 'error');
    expect(line?.fields).toMatchObject({ requestId: refused.error?.details['requestId'], path: 'agents.list' });
    expect(String(line?.fields['err'])).toContain('secret internals');
  });
});

describe('the Host header', () => {
  test.each([
    ['127.0.0.1:7070', true],
    ['localhost', true],
    ['[::1]:7070', true],
    ['LOCALHOST:1', true],
    ['caisson.example:443', true],
    ['evil.example', false],
    ['127.0.0.1.evil.example', false],
    ['localhost.evil.example', false],
    ['user@localhost', false],
    ['localhost:x', false],
    ['', false],
  ])('%s: answered? %s', async (host, isAnswered) => {
    const received = await raw(`GET /healthz HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
    expect(received.startsWith(isAnswered ? 'HTTP/1.1 200 ' : 'HTTP/1.1 403 ')).toBe(true);
    if (!isAnswered) expect(received).toContain('"code":"FORBIDDEN"');
  });

  test('is not looked at where the server listens on the network', () => {
    expect(acceptedHosts({ host: '0.0.0.0', allowedHosts: [] })('anything.example')).toBe(true);
  });
});

describe('input that takes long to read', () => {
  let wide: RunningServer;
  beforeAll(async () => {
    wide = await startServer({ settings: { maxBodyBytes: 16 * 1_024 * 1_024 } });
  });
  afterAll(async () => {
    await wide[Symbol.asyncDispose]();
  });

  const keys = Array.from({ length: 700_000 }, (_, i) => `"k${i}":1`).join(',');
  const brackets = `${'['.repeat(3_900_000)}${']'.repeat(3_900_000)}`;
  const env = (count: number): Record<string, string> =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 'v']));

  test.each([
    ['700,000 unknown keys', 'runs.start', `{${keys}}`, {}],
    ['nested arrays', 'runs.start', brackets, {}],
    ['nested objects', 'runs.start', `${'{"a":'.repeat(65)}1${'}'.repeat(65)}`, {}],
    ['an environment of 700,000 names', 'processes.exec', `{"command":["a"],"env":{${keys}}}`, {}],
    ['a batch of them', 'runs.start,runs.start?batch=1', `{"0":{${keys}}}`, {}],
    ['a call that is left to tRPC', 'runs.start', `{${keys}}`, { 'trpc-accept': 'application/jsonl' }],
  ])('%s: is refused before it is parsed', async (_what, path, body, headers) => {
    const parse = vi.spyOn(JSON, 'parse');
    try {
      const response = await fetch(`${wide.url}/trpc/${path}`, {
        method: 'POST',
        headers: { ...bearer(wide.alice), ...json, ...headers },
        body,
      });
      const text = await response.text();
      expect(response.status).toBe(400);
      expect(text).toMatch(/"code":"BAD_REQUEST","message":"The input has too many values/);
      expect(text.length).toBeLessThan(8_000);
      expect(parse.mock.calls.filter(([parsed]) => parsed.length === body.length)).toEqual([]);
    } finally {
      parse.mockRestore();
    }
  });

  test('an error quotes the beginning of a name only', async () => {
    const name = 'k'.repeat(1_000_000);
    for (const [path, input] of [
      ['runs.start', { [name]: 1 }],
      ['processes.exec', { agentId: newAgentId(), command: ['a'], env: { [name]: 'v' } }],
      ['runs.start', { message: Array.from({ length: 12 }, () => ({ type: 'text', text: '', [name]: 1 })) }],
    ] as const) {
      const refused = await wide.mutate(wide.alice, path, input);
      expect([refused.status, refused.error?.code]).toEqual([400, 'BAD_REQUEST']);
      expect(refused.text).toContain('kkkkkkkk');
      expect(refused.text.length).toBeLessThan(8_000);
    }
  });

  test('what can be one of several things is refused with what it lacks to be each of them', async () => {
    const { error } = await wide.query(wide.alice, 'agents.get', {});
    expect(error?.message).toMatch(/^The input is not valid: agentId: .+; or name: .+\.$/);
    const nested = await wide.mutate(wide.alice, 'runs.start', { conversationId: newConversationId(), message: [{}] });
    expect(nested.error?.message).toMatch(/^The input is not valid: message: .+; or \[0\]\.type: .+\.$/);
  });

  test('a program is given 1,000 variables with its 4,096 words, and no more', async () => {
    const agentId = newAgentId();
    const command = Array.from({ length: 4_096 }, () => 'word');
    for (const [path, fields] of [
      ['processes.exec', { command }],
      ['processes.start', { command }],
      ['terminals.open', {}],
    ] as const) {
      const most = await wide.mutate(wide.alice, path, { agentId, ...fields, env: env(1_000) });
      expect([path, most.error?.code]).toEqual([path, 'AGENT_NOT_FOUND']);
      const more = await wide.mutate(wide.alice, path, { agentId, ...fields, env: env(1_001) });
      expect([more.error?.code, more.error?.message]).toEqual([
        'BAD_REQUEST',
        'The input is not valid: env: must not exceed 1000 variables.',
      ]);
    }
  });
});

test('no answer allows another origin to read it', async () => {
  const response = await fetch(`${server.url}/trpc/system.health`, { headers: { origin: 'http://evil.example' } });
  expect([...response.headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([]);
  const preflight = await fetch(`${server.url}/trpc/agents.create`, {
    method: 'OPTIONS',
    headers: { origin: 'http://evil.example', 'access-control-request-method': 'POST' },
  });
  expect(preflight.ok).toBe(false);
});

test('the landing page says what this is', async () => {
  const response = await fetch(server.url);
  expect(response.headers.get('content-type')).toContain('text/html');
  const page = await response.text();
  expect(page).toContain('demo model');
  expect(page).toContain('name="viewport"');
  // For a clone and for an installed package.
  expect(page).toContain('npm run -s caisson -- --help');
  expect(page).toContain('npx caisson --help');
});

test('the list of subscriptions is that of the router', () => {
  const paths = [...procedureTypes].filter(([, type]) => type === 'subscription').map(([path]) => path);
  expect([...subscriptionPaths]).toEqual(paths);
});

describe('healthz', () => {
  test('is 200 while the store answers, and 503 when it does not', async () => {
    let isBroken = false;
    await using other = await startServer({
      checkHealth: async () => {
        if (isBroken) throw new Error('the disk is gone');
      },
    });
    expect((await fetch(`${other.url}/healthz`)).status).toBe(200);
    isBroken = true;
    const response = await fetch(`${other.url}/healthz`);
    expect(response.status).toBe(503);
    expect(await response.text()).not.toContain('disk');
  });
});

describe('a call that takes its time', () => {
  test('shows that it is alive, and its outcome is in the body', async () => {
    await using other = await startServer({ pulseMs: 20 });
    const made = await other.mutate(other.alice, 'agents.create', { name: 'worker', wait: true });
    const opened = await other.mutate(other.alice, 'conversations.open', { agentId: (made.data as { id: string }).id });
    const { id: conversationId } = opened.data as { id: string };
    const started = await other.mutate(other.alice, 'runs.start', { conversationId, message: 'hold' });
    const { runId } = started.data as { runId: string };
    const late = await other.query(other.alice, 'runs.wait', { runId, timeoutMs: 200 });
    expect(late.text).toMatch(/^\n+\{/);
    expect(late).toMatchObject({ status: 200, data: { status: 'timeout', runId } });
    const client = createCaissonClient({ url: other.url, apiKey: other.alice.secret });
    await expect(client.runs.wait.query({ runId, timeoutMs: 200 })).resolves.toMatchObject({ status: 'timeout' });
    const response = await fetch(
      `${other.url}/trpc/runs.wait?input=${encodeURIComponent(JSON.stringify({ runId, timeoutMs: 60_000 }))}`,
      { headers: bearer(other.alice) },
    ); // it has begun to answer
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    let isWaiting = false;
    const wait = other.domain.runs.wait.bind(other.domain.runs);
    other.domain.runs.wait = (...call) => {
      isWaiting = true;
      return wait(...call);
    };
    const told = client.runs.wait.query({ runId, timeoutMs: 60_000 });
    told.catch(() => undefined); // looked at below
    await until('the wait', () => isWaiting);
    const closed = other.close();
    expect(await response.json()).toMatchObject({ error: { data: { caisson: { code: 'DRAINING' } } } });
    await expect(told).rejects.toMatchObject({ code: 'DRAINING' });
    await closed;
  });
});

describe('calls that wait', () => {
  test('are bounded for a key and in all, each of a batch for itself; a place that was left is free again', async () => {
    await using other = await startServer({ callLimits: { perKey: 3, inAll: 4 } });
    const made = await other.mutate(other.alice, 'agents.create', { name: 'worker', wait: true });
    const { id: agentId } = made.data as { id: string };
    const opened = await other.mutate(other.alice, 'conversations.open', { agentId });
    const { id: conversationId } = opened.data as { id: string };
    const started = await other.mutate(other.alice, 'runs.start', { conversationId, message: 'hold' });
    const { runId } = started.data as { runId: string };
    let waiting = 0;
    const wait = other.domain.runs.wait.bind(other.domain.runs);
    other.domain.runs.wait = async (...call) => {
      waiting++;
      return await wait(...call).finally(() => waiting--);
    };
    const batch = (caller: typeof other.alice, size: number, signal: AbortSignal | null = null): Promise<Response> => {
      const paths = Array.from({ length: size }, () => 'runs.wait').join(',');
      const inputs = Object.fromEntries(Array.from({ length: size }, (_, at) => [at, { runId, timeoutMs: 600_000 }]));
      const url = `${other.url}/trpc/${paths}?batch=1&input=${encodeURIComponent(JSON.stringify(inputs))}`;
      return fetch(url, { headers: bearer(caller), signal });
    };
    expect(await (await batch(other.alice, 4)).text()).toContain('"TOO_MANY_CONNECTIONS"');
    const leave = new AbortController();
    const left = batch(other.alice, 3, leave.signal);
    left.catch(() => undefined); // looked at below
    await until('three waits', () => waiting === 3);
    expect(await other.query(other.alice, 'agents.list')).toMatchObject({
      status: 429,
      error: { code: 'TOO_MANY_CONNECTIONS', retryable: true, details: { limit: 3 } },
    });
    expect((await other.query(other.admin, 'agents.list')).status).toBe(200);
    const last = batch(other.admin, 1);
    await until('four waits', () => waiting === 4);
    expect((await other.query(other.bob, 'agents.list')).error).toMatchObject({ details: { limit: 4 } });
    leave.abort();
    await expect(left).rejects.toThrow('aborted');
    await until('a free place', async () => (await other.query(other.alice, 'agents.list')).status === 200);
    await other.close();
    await (await last).text();
  });
});

describe('closing', () => {
  test('ends waits with DRAINING, lets other requests finish and takes no more', async () => {
    await using other = await startServer();
    const made = await other.mutate(other.alice, 'agents.create', { name: 'worker', wait: true });
    const { id: agentId } = made.data as { id: string };
    const opened = await other.mutate(other.alice, 'conversations.open', { agentId });
    const { id: conversationId } = opened.data as { id: string };
    const started = await other.mutate(other.alice, 'runs.start', { conversationId, message: 'hold' });
    let isWaiting = false;
    const { runs } = other.domain;
    const wait = runs.wait.bind(runs);
    runs.wait = (...call) => {
      isWaiting = true;
      return wait(...call);
    };
    const { runId } = started.data as { runId: string };
    const waiting = other.query(other.alice, 'runs.wait', { runId });
    const idle = connect(Number(new URL(other.url).port), '127.0.0.1').resume();
    const idleEnd = new Promise((resolve) => idle.once('close', resolve));
    await until('the wait', () => isWaiting && !idle.connecting);
    await other.close();
    expect((await waiting).error).toMatchObject({ code: 'DRAINING', retryable: true });
    await idleEnd;
    await expect(fetch(`${other.url}/healthz`)).rejects.toThrow('fetch failed');
  });

  test('cuts what does not end in time', async () => {
    const { promise: never } = Promise.withResolvers<void>();
    let isAsked = false;
    const checkHealth = (): Promise<void> => {
      isAsked = true;
      return never;
    };
    await using other = await startServer({ closeTimeoutMs: 50, checkHealth });
    const stuck = fetch(`${other.url}/healthz`);
    stuck.catch(() => undefined); // awaited below
    await until('the request', () => isAsked);
    await other.close();
    await expect(stuck).rejects.toThrow('fetch failed');
  });

  test('a port that is taken is named', async () => {
    const port = Number(new URL(server.url).port);
    await expect(startServer({ settings: { port } })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('CAISSON_PORT'),
    });
  });
});
