import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { smallBytes } from '../../../src/controlplane/model-gateway/guest-body.ts';
import { HandClock } from '../../acp/hand-clock.ts';
import { until } from '../../until.ts';
import { apiKey, aRequest, bodyOf, openGateway, readAnswer, sse } from './gateway-fixture.ts';
import { MemoryBudget } from './memory-budget.ts';

interface Asked {
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A service that notes what it is asked, and answers with an empty object. */
function noting(asked: Asked[], answer: RequestListener = (_, response) => response.end('{}')): RequestListener {
  return (request, response) => {
    void bodyOf(request).then((body) => {
      asked.push({ url: request.url, headers: request.headers, body });
      answer(request, response);
    });
  };
}

async function secondService(asked: Asked[]): Promise<{ readonly baseUrl: string } & AsyncDisposable> {
  const server = createServer(noting(asked));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/anthropic/v1/`,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

test('the name of the model decides which service is asked, each with its own address and key', async () => {
  const [first, second]: [Asked[], Asked[]] = [[], []];
  await using service = await secondService(second);
  const claude = { name: 'anthropic', baseUrl: service.baseUrl, apiKey: 'sk-ant', models: ['claude-*'] };
  await using main = await openGateway({ upstream: noting(first) });
  await using gateway = await openGateway({
    routes: {
      upstreams: [
        { ...claude, keyHeader: 'x-api-key' },
        { name: 'main', baseUrl: main.upstreamUrl, apiKey, keyHeader: 'bearer', models: ['*'] },
      ],
      aliases: { best: 'claude-opus-5-5' },
    },
  });
  await gateway.ask('{"model":"gpt-5.5"}', { 'x-api-key': 'forged' });
  await gateway.ask('{"stream":false,"model":"claude-opus-5-5"}', { ':path': '/model/v1/messages?beta=true' });
  const best = '{"messages":[],"model" : "best" ,"max_tokens":5}';
  await gateway.ask(best, { ':path': '/model/v1/messages', 'content-length': String(best.length) });
  expect(first).toMatchObject([{ url: '/v1/responses', headers: { authorization: `Bearer ${apiKey}` } }]);
  expect(first[0]?.headers).not.toHaveProperty('x-api-key');
  expect(second).toMatchObject([
    { url: '/anthropic/v1/messages?beta=true', headers: { 'x-api-key': 'sk-ant' } },
    { url: '/anthropic/v1/messages', body: best.replace('"best"', '"claude-opus-5-5"') },
  ]);
  expect(second[0]?.headers).not.toHaveProperty('authorization');
  expect(second[1]?.headers['content-length']).toBe(String(second[1]?.body.length));
});

test.each([
  ['alice', 'gpt-5.5', 200],
  ['alice', 'fast', 200],
  ['alice', 'gpt-6-luna', 404],
  ['alice', 'claude-opus-5-5', 404],
  ['bob', 'gpt-5.5', 404],
  ['bob', 'claude-opus-5-5', 200],
])('of %s, the model %s is answered with %i', async (user, model, status) => {
  const asked: Asked[] = [];
  await using gateway = await openGateway({
    upstream: noting(asked),
    routes: { aliases: { fast: 'gpt-6-luna' }, allowed: { alice: ['gpt-5*', 'fast'], '*': ['claude-*'] } },
    userName: user,
  });
  const answer = await gateway.ask(JSON.stringify({ model }));
  expect(answer.status).toBe(status);
  expect(asked).toHaveLength(status === 200 ? 1 : 0);
  if (status === 404) expect(JSON.parse(answer.text)).toMatchObject({ error: { code: 'model_not_found' } });
});

describe('what no service is asked', () => {
  test.each([
    ['names no model', '{"input":[]}', 'names no model'],
    ['names something else than a name', '{"model":{"a":1}}', 'its model is no name'],
    ['names an empty model', '{"model":""}', 'its model is no name'],
    ['is no JSON', 'model=gpt', 'no JSON object'],
    ['ends early', '{"model":"gpt-5.5","input":[', 'no JSON'],
    ['is answered where nobody can count', '{"model":"gpt-5.5","background":true}', 'in the background'],
    ['is empty', '', 'names no model'],
  ])('a request that %s', async (_, body, words) => {
    let ended = 0;
    await using gateway = await openGateway({
      upstream: (request) => request.resume().once('end', () => (ended += 1)),
    });
    const answer = await gateway.ask(body);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toMatchObject({
      error: { code: 'invalid_body', message: expect.stringContaining(words) },
    });
    expect(ended).toBe(0);
    await until('the end', () => gateway.log.length === 1);
    expect(gateway.budget.held).toBe(0);
  });

  test('a request that names another model behind the first one', async () => {
    let ended = 0;
    await using gateway = await openGateway({
      upstream: (request) => request.resume().once('end', () => (ended += 1)),
    });
    const [first, second] = ['{"model":"gpt-5.5","input":[]', ',"model":"gpt-6-astra"}'];
    const length = first.length + second.length;
    const stream = gateway.open({ ':method': 'POST', ':path': '/model/v1/responses', 'content-length': length });
    const answer = new Promise((resolve) => stream.once('response', resolve));
    stream.write(first);
    await until('it to be admitted', () => gateway.budget.held > 0);
    stream.end(second);
    expect(await answer).toMatchObject({ ':status': 400 });
    await until('the end', () => gateway.log.length === 1);
    expect(ended).toBe(0);
    expect(gateway.budget).toMatchObject({ held: 0, spent: 0 });
  });

  test('a body that is compressed', async () => {
    await using gateway = await openGateway({});
    expect((await gateway.ask(aRequest, { 'content-encoding': 'zstd' })).status).toBe(400);
  });

  test('a body that does not fit into what may be held before it has named its model; room is given back', async () => {
    await using gateway = await openGateway({ limits: { maxHeldBytes: 4_000 } });
    const bodyOfLength = (bytes: number): string => `{"input":"${'x'.repeat(bytes - 12)}"}`;
    expect((await gateway.ask(bodyOfLength(smallBytes + 1_001))).status).toBe(429);
    for (let i = 0; i < 3; i++) expect((await gateway.ask(bodyOfLength(smallBytes + 1_000))).status).toBe(400);
  });
});

describe('Chat Completions', () => {
  const chunk = (fields: object): string => `data: ${JSON.stringify({ model: 'gpt-5.5', ...fields })}\n\n`;

  test.each([
    ['{"model":"gpt-5.5","stream":true}', { include_usage: true }],
    ['{"messages":[],"stream":true,"model":"gpt-5.5"}', { include_usage: true }],
    ['{"model":"gpt-5.5","stream_options":{"include_usage":false,"a":1},"stream":true}', { include_usage: true, a: 1 }],
    ['{"model":"gpt-5.5","stream_options":null,"stream":true}', { include_usage: true }],
    ['{"model":"gpt-5.5","stream":false}', undefined],
    ['{"model":"gpt-5.5"}', undefined],
  ])('a stream is always asked for its usage: %s', async (body, options) => {
    const asked: Asked[] = [];
    await using gateway = await openGateway({ upstream: noting(asked), routes: { aliases: {} } });
    await gateway.ask(body, { ':path': '/model/v1/chat/completions', 'content-length': String(body.length) });
    const sent = JSON.parse(asked[0]?.body ?? '') as Record<string, unknown>;
    expect(sent['stream_options']).toEqual(options);
    expect(sent).toMatchObject({ model: 'gpt-5.5' });
    expect(asked[0]?.url).toBe('/v1/chat/completions');
  });

  test('is counted by the usage of its last chunk, whatever it is spaced with', async () => {
    for (const usage of ['"usage":{', '"usage": {']) {
      const last = chunk({
        choices: [],
        usage: {
          prompt_tokens: 20,
          prompt_tokens_details: { cached_tokens: 5 },
          completion_tokens: 9,
          completion_tokens_details: { reasoning_tokens: 4 },
        },
      }).replace('"usage":{', usage);
      await using gateway = await openGateway({
        upstream: (_, response) =>
          void sse(response).end(
            chunk({ choices: [{ delta: { content: '"usage":{' } }], usage: null }) + last + 'data: [DONE]\n\n',
          ),
      });
      await gateway.ask('{"model":"gpt-5.5","stream":true}', { ':path': '/model/v1/chat/completions' });
      await until('the call', () => gateway.kept.length === 1);
      expect(gateway.kept).toMatchObject([
        { api: 'chat_completions', inputTokens: 20, cachedInputTokens: 5, outputTokens: 9, reasoningTokens: 4 },
      ]);
    }
  });
});

test('Messages are counted by their beginning and their end, caches included', async () => {
  const event = (type: string, fields: object): string =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
  await using gateway = await openGateway({
    upstream: (_, response) =>
      void sse(response).end(
        event('message_start', {
          message: {
            model: 'claude-opus-5-5',
            usage: {
              input_tokens: 10,
              cache_creation_input_tokens: 200,
              cache_read_input_tokens: 3_000,
              output_tokens: 1,
            },
          },
        }) +
          event('content_block_delta', { delta: { type: 'text_delta', text: 'hi' } }) +
          event('message_delta', { delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 42 } }) +
          event('message_stop', {}),
      ),
  });
  await gateway.ask('{"model":"claude-opus-5-5"}', { ':path': '/model/v1/messages' });
  await until('the call', () => gateway.kept.length === 1);
  expect(gateway.kept).toMatchObject([
    {
      api: 'messages',
      inputTokens: 3_210,
      cachedInputTokens: 3_000,
      cacheWriteTokens: 200,
      outputTokens: 42,
      costMicros: 10 * 4 + 3_000 * 0.2 + 200 * 5 + 42 * 20,
      isEstimated: false,
    },
  ]);
});

test('the headers of a guest stay behind, but for those that a service needs', async () => {
  const asked: Asked[] = [];
  await using gateway = await openGateway({ upstream: noting(asked) });
  await gateway.ask(aRequest, {
    'openai-organization': 'org-other',
    'openai-project': 'p',
    'x-real-ip': '1.2.3.4',
    'x-anything': 'a',
    referer: 'http://a',
    'x-codex-turn-metadata': '{}',
    'anthropic-version': '2023-06-01',
    'user-agent': 'codex',
  });
  expect(Object.keys(asked[0]?.headers ?? {}).toSorted()).toEqual([
    'accept-encoding',
    'anthropic-version',
    'authorization',
    'connection',
    'content-type',
    'host',
    'transfer-encoding',
    'user-agent',
    'x-codex-turn-metadata',
  ]);
});

describe('a service that is down', () => {
  test('is left alone after ten failures, and asked again when it has rested', async () => {
    let calls = 0;
    let status = 503;
    const clock = new HandClock();
    await using gateway = await openGateway({
      clock,
      upstream: (_, response) => {
        calls += 1;
        response.writeHead(status).end('{}');
      },
    });
    for (let i = 0; i < 10; i++) expect((await gateway.ask(aRequest)).status).toBe(503);
    const refused = await gateway.ask(aRequest);
    expect([refused.status, calls]).toEqual([503, 10]);
    expect(JSON.parse(refused.text)).toMatchObject({ error: { code: 'model_unavailable', type: 'server_error' } });
    expect(refused.headers).toMatchObject({ 'retry-after': '10', 'x-should-retry': 'true' });
    expect(gateway.budget.held).toBe(0);
    clock.advance(10_000);
    status = 200;
    expect((await gateway.ask(aRequest)).status).toBe(200);
    expect((await gateway.ask(aRequest)).status).toBe(200);
  });

  test('is no matter of one agent: what a service refuses it does not count', async () => {
    await using gateway = await openGateway({ upstream: (_, response) => response.writeHead(500).end('{}') });
    for (let i = 0; i < 15; i++) await gateway.ask(aRequest);
    expect((await gateway.ask(aRequest)).text).toBe('{}');
  });
});

describe('tokens are counted before a call, by the service of the model', () => {
  const path = '/model/v1/messages/count_tokens?beta=true';

  test('under the name that it knows, with its key, and without a charge', async () => {
    const asked: Asked[] = [];
    await using gateway = await openGateway({
      upstream: noting(asked, (_, response) => response.end('{"input_tokens":14}')),
      keyHeader: 'x-api-key',
      routes: { aliases: { best: 'claude-opus-5-5' } },
    });
    const answer = await gateway.ask('{"model":"best","messages":[]}', { ':path': path });
    expect(answer.text).toBe('{"input_tokens":14}');
    expect(asked).toMatchObject([
      {
        url: '/v1/messages/count_tokens?beta=true',
        headers: { 'x-api-key': apiKey },
        body: '{"model":"claude-opus-5-5","messages":[]}',
      },
    ]);
    expect(gateway.kept).toEqual([]);
    expect(gateway.budget.endings).toEqual([]);
  });

  test('not for a model that the user may not use', async () => {
    const asked: Asked[] = [];
    await using gateway = await openGateway({ upstream: noting(asked), routes: { allowed: { alice: ['gpt-*'] } } });
    const answer = await gateway.ask('{"model":"claude-opus-5-5"}', { ':path': path });
    expect(answer.status).toBe(404);
    expect(JSON.parse(answer.text)).toMatchObject({ type: 'error', error: { type: 'not_found_error' } });
    expect(asked).toEqual([]);
  });

  test('also when the budget is spent: it costs nothing', async () => {
    await using gateway = await openGateway({
      budget: new MemoryBudget(0),
      upstream: (_, response) => response.end('{"input_tokens":14}'),
    });
    const answer = await gateway.ask('{"model":"claude-opus-5-5"}', { ':path': path });
    expect(answer.status).toBe(200);
  });
});

describe('the list of models', () => {
  const list = {
    object: 'list',
    data: ['gpt-5.5', 'gpt-5.6-luna', 'o9-secret'].map((id) => ({ id, object: 'model', owned_by: 'openai', extra: 1 })),
  };
  const listing: RequestListener = (_, response) => response.end(JSON.stringify(list));
  const namesIn = (text: string): string[] => (JSON.parse(text) as { data: { id: string }[] }).data.map(({ id }) => id);
  const listed = async (gateway: Awaited<ReturnType<typeof openGateway>>) =>
    await readAnswer(gateway.open({ ':path': '/model/v1/models' }, { endStream: true }));

  test('is what the user may ask for, under the names that it may use', async () => {
    await using gateway = await openGateway({
      upstream: listing,
      routes: { aliases: { fast: 'gpt-5.6-luna', hidden: 'gpt-5.5' }, allowed: { alice: ['gpt-5.5', 'fast'] } },
    });
    const { status, text } = await listed(gateway);
    expect(status).toBe(200);
    expect(namesIn(text)).toEqual(['gpt-5.5', 'fast']);
    expect(JSON.parse(text)).toMatchObject({
      object: 'list',
      data: [{}, { id: 'fast', owned_by: 'openai', extra: 1 }],
    });
  });

  test('is empty for a user who may use none', async () => {
    await using gateway = await openGateway({ upstream: listing, routes: { allowed: { bob: ['*'] } } });
    expect(namesIn((await listed(gateway)).text)).toEqual([]);
  });

  test('has the models of other services that the settings name, and none that no service has', async () => {
    const service = (name: string, models: string[]) =>
      ({ name, baseUrl: 'http://127.0.0.1:9/v1', apiKey: null, keyHeader: 'bearer', models }) as const;
    await using main = await openGateway({ upstream: listing });
    await using gateway = await openGateway({
      routes: {
        upstreams: [
          { ...service('main', ['gpt-*']), baseUrl: main.upstreamUrl },
          service('other', ['claude-opus-5-5', 'claude-haiku-*']),
        ],
      },
    });
    expect(namesIn((await listed(gateway)).text)).toEqual(['gpt-5.5', 'gpt-5.6-luna', 'claude-opus-5-5']);
  });

  test.each([
    ['no JSON', 'models: all'],
    ['no list', '{"models":[]}'],
    ['longer than 4 MiB', JSON.stringify({ data: Array.from({ length: 60_000 }, () => ({ id: 'x'.repeat(80) })) })],
  ])('is not shown where it cannot be narrowed: %s', async (_, body) => {
    await using gateway = await openGateway({
      upstream: (__, response) => response.end(body),
      routes: { allowed: { alice: ['gpt-*'] } },
    });
    const { status, text } = await listed(gateway);
    expect(status).toBe(502);
    expect(text).not.toContain('xxx');
  });

  test('a refusal of the service is passed on', async () => {
    await using gateway = await openGateway({
      upstream: (_, response) => response.writeHead(403).end('{"error":"no"}'),
      routes: { allowed: { alice: ['gpt-*'] } },
    });
    expect(await listed(gateway)).toMatchObject({ status: 403, text: '{"error":"no"}' });
  });
});
