import { once } from 'node:events';
import { constants, type ServerHttp2Stream } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { ClientRequest, type ServerResponse } from 'node:http';
import { describe, expect, test, vi } from 'vitest';
import type { CallOutcome } from '../../../src/controlplane/model-gateway/call-record.ts';
import { HandClock } from '../../acp/hand-clock.ts';
import { until } from '../../until.ts';
import { apiKey, aRequest, bodyOf, openGateway, readAnswer, sse } from './gateway-fixture.ts';
import { localhostCertificate } from './localhost-certificate.ts';

const completed = {
  type: 'response.completed',
  response: {
    id: 'resp_1',
    model: 'gpt-5.5-2026',
    usage: {
      input_tokens: 11,
      input_tokens_details: { cached_tokens: 3 },
      output_tokens: 7,
      output_tokens_details: { reasoning_tokens: 2 },
      total_tokens: 18,
    },
  },
};

describe('what passes', () => {
  test('a request reaches the service with the real key and without what the guest claims to be', async () => {
    const seen: unknown[] = [];
    await using gateway = await openGateway({
      upstream: (request, response) => {
        const { url, method, headers } = request;
        void bodyOf(request).then((body) => {
          seen.push({ url, method, headers, body });
          response.end('{}');
        });
      },
    });
    await gateway.ask('{"model":"gpt-5.5"}', {
      authorization: 'Bearer forged',
      cookie: 'a=b',
      'x-api-key': 'forged',
      'caisson-agent': 'someone',
      'x-forwarded-for': '1.2.3.4',
      'session-id': 's1',
      originator: 'caisson',
    });
    expect(seen).toMatchObject([
      {
        url: '/v1/responses',
        method: 'POST',
        body: '{"model":"gpt-5.5"}',
        headers: { authorization: `Bearer ${apiKey}` },
      },
    ]);
    const { headers } = seen[0] as { headers: Record<string, string> };
    expect(headers).toMatchObject({ 'session-id': 's1', originator: 'caisson', 'content-type': 'application/json' });
    for (const name of ['cookie', 'x-api-key', 'caisson-agent', 'x-forwarded-for'])
      expect(headers).not.toHaveProperty(name);
    expect(JSON.stringify(headers)).not.toContain('forged');
  });

  test('without a key no authorization is sent', async () => {
    let authorization: string | undefined = 'untouched';
    await using gateway = await openGateway({
      key: null,
      upstream: (request, response) => {
        ({ authorization } = request.headers);
        response.end('{}');
      },
    });
    await gateway.ask(aRequest, { authorization: 'Bearer forged' });
    expect(authorization).toBeUndefined();
  });

  test('models are listed, with the query', async () => {
    await using gateway = await openGateway({ upstream: (request, response) => response.end(request.url) });
    const stream = gateway.open({ ':path': '/model/v1/models?x=1' }, { endStream: true });
    expect((await readAnswer(stream)).text).toBe('/v1/models?x=1');
  });

  test.each([
    ['GET', '/model/v1/responses'],
    ['POST', '/model/v1/models'],
    ['POST', '/model/v1/responses/resp_1/cancel'],
    ['DELETE', '/model/v1/responses'],
    ['POST', '/model/v1/../v1/responses'],
    ['POST', '/model/v1/files'],
    ['GET', '/v1/models'],
  ])('%s %s does not exist', async (method, path) => {
    let asked = false;
    await using gateway = await openGateway({ upstream: () => (asked = true) });
    const stream = gateway.open({ ':method': method, ':path': path }, { endStream: true });
    const answer = await readAnswer(stream);
    expect(answer.status).toBe(404);
    expect(JSON.parse(answer.text)).toMatchObject({ error: { type: 'invalid_request_error', code: 'not_found' } });
    expect(asked).toBe(false);
  });

  test('each piece of the answer is passed on when it comes, and the tokens are counted', async () => {
    let response: ServerResponse | undefined;
    await using gateway = await openGateway({
      upstream: (request, given) => {
        request.resume();
        response = sse(given);
        response.write('event: response.created\ndata: {"type":"response.created"}\n\n');
      },
    });
    const stream = gateway.open({ ':method': 'POST', ':path': '/model/v1/responses' });
    stream.end('{"model":"gpt-5.5","input":[]}');
    const pieces: string[] = [];
    stream.on('data', (chunk: Buffer) => pieces.push(chunk.toString()));
    await until('the first piece', () => pieces.length === 1);
    response?.write('data: {"type":"response.output_text.delta","delta":"hi"}\n\n');
    await until('the second piece', () => pieces.length === 2);
    // In odd pieces, as a network may cut it.
    const text = `event: response.completed\ndata: ${JSON.stringify(completed)}\n\n`;
    for (let at = 0; at < text.length; at += 37) response?.write(text.slice(at, at + 37));
    response?.end();
    await until('the log line', () => gateway.log.length === 1);
    await until('the last piece', () => stream.readableEnded);
    expect(pieces.join('')).toContain(text);
    expect(gateway.log[0]).toMatchObject({
      api: 'responses',
      outcome: 'answered',
      status: 200,
      model: 'gpt-5.5',
      answeredBy: 'gpt-5.5-2026',
      inputTokens: 11,
      cachedInputTokens: 3,
      outputTokens: 7,
      reasoningTokens: 2,
      requestBytes: 30,
      responseBytes: pieces.join('').length,
    });
  });

  test.each([
    ['before it names its model', ['{', '"model":"gpt-5.5","input":[]}'], 'guest'],
    ['after that', ['{"model":"gpt-5.5",', '"input":[]}'], 'service'],
  ])(
    'what the gateway took is told without waits for the service, and for a body that is late %s',
    async (...given) => {
      const [, [first = '', second = ''], whoHears] = given;
      const heard = new Set<string>();
      let heldMs = 0;
      await using gateway = await openGateway({
        onStream: () => heard.add('guest'),
        upstream: (request, response) => {
          heard.add('service');
          request.resume().once('end', () => {
            const cameAt = performance.now();
            setTimeout(() => {
              heldMs = performance.now() - cameAt;
              response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(completed.response));
            }, 30);
          });
        },
      });
      const length = first.length + second.length;
      const stream = gateway.open({ ':method': 'POST', ':path': '/model/v1/responses', 'content-length': length });
      stream.write(first);
      await until('the beginning is heard of', () => heard.has(whoHears));
      const from = performance.now();
      await sleep(30);
      const lateMs = performance.now() - from;
      stream.end(second);
      stream.resume();
      await until('the call is over', () => gateway.calls.length === 1);
      const [call] = gateway.calls;
      expect(call?.overheadMs).toBeGreaterThanOrEqual(0);
      expect(call?.overheadMs).toBeLessThanOrEqual((call?.firstByteMs ?? 0) - heldMs - lateMs + 0.02); // both are rounded
    },
  );

  test('a list of models has no figure of that kind', async () => {
    await using gateway = await openGateway({
      upstream: (_request, response) => {
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"data":[]}');
      },
    });
    const stream = gateway.open({ ':method': 'GET', ':path': '/model/v1/models' }, { endStream: true });
    stream.resume();
    await until('the call is over', () => gateway.calls.length === 1);
    expect(gateway.calls[0]).toMatchObject({ status: 200, overheadMs: null });
  });

  test('the tokens of an answer that is one JSON body are counted', async () => {
    await using gateway = await openGateway({
      upstream: (_request, response) => {
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(completed.response));
      },
    });
    await gateway.ask(aRequest);
    expect(gateway.log[0]).toMatchObject({ inputTokens: 11, outputTokens: 7 });
  });
});

test('a service behind TLS is asked over one connection, on which silence is noticed as well', async () => {
  setDefaultCACertificates([...getCACertificates(), localhostCertificate.cert]);
  let calls = 0;
  let connections = 0;
  const server = createHttpsServer(localhostCertificate, (_request, response) => {
    calls += 1;
    if (calls === 1) response.end('{}');
  });
  server.on('secureConnection', () => (connections += 1));
  await new Promise<void>((resolve) => server.listen(0, resolve));
  const { port } = server.address() as AddressInfo;
  await using gateway = await openGateway({
    baseUrl: `https://localhost:${port}/v1`,
    limits: { connectTimeoutMs: 300_000, firstByteTimeoutMs: 2_000 },
  });
  expect((await gateway.ask(aRequest)).status).toBe(200);
  const second = await gateway.ask(aRequest);
  expect([second.status, calls, connections]).toEqual([504, 2, 1]);
  expect(gateway.log[1]).toMatchObject({ outcome: 'upstream_timeout', cause: 'first byte' });
  server.closeAllConnections();
  server.close();
});

describe('what the service refuses', () => {
  test.each([400, 401, 402, 403, 404, 429, 500, 503])('%i passes on unchanged', async (status) => {
    const body = JSON.stringify({ error: { message: `it is ${status}`, type: 'insufficient_quota', code: null } });
    await using gateway = await openGateway({
      upstream: (_request, response) => {
        response
          .writeHead(status, { 'content-type': 'application/json', 'retry-after': '7', 'x-request-id': 'r1' })
          .end(body);
      },
    });
    const answer = await gateway.ask('{"model":"gpt-5.5"}');
    expect([answer.status, answer.text]).toEqual([status, body]);
    expect(answer.headers).toMatchObject({
      'retry-after': '7',
      'x-request-id': 'r1',
      'content-type': 'application/json',
    });
    expect(gateway.log).toMatchObject([{ outcome: 'answered', status, model: 'gpt-5.5' }]);
  });

  test('an answer that repeats the key does not bring it into the sandbox, however it is cut', async () => {
    await using gateway = await openGateway({
      upstream: (_request, response) => {
        response.writeHead(401, {
          'content-type': 'application/json',
          'x-echo': `Bearer ${apiKey}`,
          'set-cookie': 'a=b',
        });
        const text = `${apiKey.slice(0, 9)}! Incorrect key: ${apiKey}. ${apiKey.slice(0, 9)}`;
        const middle = text.indexOf(apiKey) + 9;
        response.write(text.slice(0, middle), () => setImmediate(() => response.end(text.slice(middle))));
      },
    });
    const answer = await gateway.ask(aRequest);
    expect(answer.text).toBe(
      `${apiKey.slice(0, 9)}! Incorrect key: ${'*'.repeat(apiKey.length)}. ${apiKey.slice(0, 9)}`,
    );
    expect(JSON.stringify(answer.headers)).not.toContain(apiKey);
    expect(answer.headers).not.toHaveProperty('set-cookie');
  });
});

describe('what breaks', () => {
  test('a service that cannot be reached is a 502 in the form of OpenAI, without the key', async () => {
    await using gateway = await openGateway({ baseUrl: 'http://127.0.0.1:1/v1' });
    const answer = await gateway.ask(aRequest);
    expect(answer.status).toBe(502);
    expect(JSON.parse(answer.text)).toEqual({
      error: {
        message: 'The model service cannot be reached (ECONNREFUSED).',
        type: 'server_error',
        code: 'model_unreachable',
        param: null,
      },
    });
    expect(JSON.stringify(gateway.log)).not.toContain(apiKey);
    expect(gateway.log).toMatchObject([{ outcome: 'upstream_unreachable', status: null, cause: 'ECONNREFUSED' }]);
  });

  test('a service that could not be reached ten times is left alone for a while', async () => {
    await using gateway = await openGateway({ baseUrl: 'http://127.0.0.1:1/v1', clock: new HandClock() });
    for (let i = 0; i < 10; i++) expect((await gateway.ask(aRequest)).status).toBe(502);
    const answer = await gateway.ask(aRequest);
    expect([answer.status, answer.headers['retry-after']]).toEqual([503, '10']);
    expect(gateway.calls.at(-1)).toMatchObject({ outcome: 'request_refused', cause: 'model_unavailable' });
  });

  test('a name that does not resolve is a 502', async () => {
    await using gateway = await openGateway({ baseUrl: 'http://no-such-host.invalid/v1' });
    expect((await gateway.ask(aRequest)).status).toBe(502);
  });

  test('a service that does not speak TLS where it should is a 502', async () => {
    await using other = await openGateway({ upstream: (_request, response) => response.end() });
    await using gateway = await openGateway({ baseUrl: other.upstreamUrl.replace('http:', 'https:') });
    expect((await gateway.ask(aRequest)).status).toBe(502);
  });

  test('a service that takes the connection and says nothing is a 504', async () => {
    const silent = createTcpServer((socket) => socket.on('error', () => undefined).resume());
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    await using gateway = await openGateway({
      baseUrl: `http://127.0.0.1:${port}/v1`,
      limits: { firstByteTimeoutMs: 50 },
    });
    const answer = await gateway.ask(aRequest);
    expect(answer.status).toBe(504);
    expect(JSON.parse(answer.text)).toMatchObject({ error: { code: 'model_timeout' } });
    silent.close();
  });

  test('an answer that is cut in the middle is cut for the guest too, after what was said', async () => {
    await using gateway = await openGateway({
      upstream: (request, response) => {
        request.resume();
        sse(response).write('data: {"delta":"half"}\n\n', () => response.destroy());
      },
    });
    const stream = gateway.open({ ':method': 'POST', ':path': '/model/v1/responses' });
    stream.end(aRequest);
    let said = '';
    stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await new Promise((resolve) => stream.once('close', resolve));
    expect(said).toBe('data: {"delta":"half"}\n\n');
    expect(stream.rstCode).not.toBe(0);
    expect(gateway.log).toMatchObject([{ outcome: 'upstream_cut', status: 200 }]);
  });

  test('a service that falls silent in the middle of its answer is cut', async () => {
    await using gateway = await openGateway({
      limits: { idleTimeoutMs: 50 },
      upstream: (_request, response) => void sse(response).write('data: {}\n\n'),
    });
    await expect(gateway.ask(aRequest)).rejects.toThrow('reset');
    expect(gateway.log).toMatchObject([{ outcome: 'upstream_timeout', cause: 'idle' }]);
  });

  test('the service is told when the guest gives up', async () => {
    let isGone = false;
    await using gateway = await openGateway({
      upstream: (_request, response) => {
        response.once('close', () => (isGone = true));
        sse(response).write('data: {}\n\n');
      },
    });
    const stream = gateway.open({ ':method': 'POST', ':path': '/model/v1/responses' });
    stream.end(aRequest);
    await new Promise((resolve) => stream.once('data', resolve));
    stream.destroy();
    await until('the service to notice', () => isGone);
    expect(gateway.log).toMatchObject([{ outcome: 'guest_left' }]);
  });

  test('a call whose guest leaves while its last bytes leave, of which Node tells nothing, is over', async () => {
    await using gateway = await openGateway({
      upstream: (_, response) => response.end('{}'),
      // As Node does where the stream is closed from the other side at that moment: no 'finish', and no 'close'.
      onStream: (stream) => {
        stream.end = () => Object.defineProperty(stream, 'closed', { value: true });
      },
    });
    const stream = gateway.open({ ':method': 'POST', ':path': '/model/v1/responses' });
    stream.on('error', () => undefined).end(aRequest);
    await until('the call is over', () => gateway.log.some(({ outcome }) => outcome === 'answered'));
    expect(gateway.budget.held).toBe(0);
  });

  test('the service is told when the wire breaks before it has answered', async () => {
    let isGone = false;
    let isAsked = false;
    await using gateway = await openGateway({
      upstream: (request, response) => {
        isAsked = true;
        request.resume();
        response.once('close', () => (isGone = true));
      },
    });
    gateway.open({ ':method': 'POST', ':path': '/model/v1/responses' }).end(aRequest);
    await until('the request', () => isAsked);
    gateway.cutWire();
    await until('the service to notice', () => isGone);
  });

  test('closing the gateway breaks off what is under way', async () => {
    await using gateway = await openGateway({
      upstream: (_request, response) => void sse(response).write('data: {}\n\n'),
    });
    const asked = gateway.ask(aRequest);
    asked.catch(() => undefined); // awaited below
    await until('the call', () => gateway.log.length === 0);
    const stream = gateway.open({ ':method': 'POST', ':path': '/model/v1/responses' });
    stream.end(aRequest);
    await new Promise((resolve) => stream.once('data', resolve));
    await gateway.gateway[Symbol.asyncDispose]();
    await expect(asked).rejects.toThrow('reset');
    expect(gateway.log).toMatchObject([{ outcome: 'shut_down' }, { outcome: 'shut_down' }]);
  });
});

test('a body that comes byte by byte keeps its place for so long and no longer', async () => {
  await using gateway = await openGateway({ limits: { bodyTimeoutMs: 100 } });
  const stream = gateway.open({ ':method': 'POST', ':path': '/model/v1/responses' });
  const answered = once(stream, 'response');
  const trickle = setInterval(() => stream.write(' '), 10);
  const [headers] = (await answered.finally(() => clearInterval(trickle))) as [{ ':status': number }];
  expect(headers[':status']).toBe(400);
  await until('the end of the call', () => gateway.calls.length === 1);
  expect(gateway.log).toMatchObject([{ outcome: 'request_refused', cause: 'invalid_body' }]);
  stream.destroy();
});

describe('a guest that takes nothing', () => {
  test.each<[string, CallOutcome, (response: ServerResponse) => void]>([
    ['while the service speaks', 'guest_stalled', (response) => sse(response).write('x'.repeat(1_000_000))],
    ['when all was said', 'guest_stalled', (response) => response.end('{}')],
    ['when the service broke off', 'upstream_cut', (response) => sse(response).write('{', () => response.destroy())],
  ])('%s is waited for so long and no longer, and keeps no stream', async (_, outcome, answer) => {
    let near: ServerHttp2Stream | undefined;
    await using gateway = await openGateway({
      limits: { idleTimeoutMs: 300 },
      onStream: (stream) => (near = stream),
      upstream: (request, response) => request.resume().once('end', () => answer(response)),
    });
    const stream = gateway.open({ ':method': 'POST', ':path': '/model/v1/responses' });
    stream.on('error', () => undefined);
    await new Promise<void>((resolve) => stream.session?.settings({ initialWindowSize: 0 }, () => resolve()));
    stream.end(aRequest);
    await until('the end of the call', () => gateway.calls.length === 1);
    expect(gateway.calls).toMatchObject([{ outcome, status: 200 }]);
    if (outcome === 'guest_stalled') expect(near?.destroyed).toBe(true); // it has had its time
    await until('its stream to be reset', () => near?.destroyed);
    await until('the guest to be told', () => stream.closed);
    expect(stream.rstCode).not.toBe(0);
  });
});

describe('the log', () => {
  test('a guest that breaks off its calls without end does not flood it, and none goes uncounted', async () => {
    const clock = new HandClock();
    await using gateway = await openGateway({ clock, upstream: (_request, response) => response.writeHead(400).end() });
    const breakOff = async (): Promise<void> => {
      const stream = gateway.open({ ':method': 'POST', ':path': '/model/v1/responses' });
      stream.on('error', () => undefined);
      stream.close(constants.NGHTTP2_CANCEL);
      await once(stream, 'close');
    };
    for (let i = 0; i < 50; i++) await breakOff();
    await gateway.ask(aRequest); // it comes behind them
    const counted = (): number => gateway.log.reduce((sum, { calls = 1 }) => sum + Number(calls), 0);
    await until('the first line', () => gateway.log.length > 0);
    expect(gateway.log).toHaveLength(1);
    clock.advance(1_000);
    expect(gateway.log).toHaveLength(2);
    await gateway.gateway[Symbol.asyncDispose]();
    await until('all are counted', () => counted() === 51);
  });

  test('every call that used tokens has a line of its own', async () => {
    await using gateway = await openGateway({
      clock: new HandClock(),
      upstream: (_request, response) => {
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(completed.response));
      },
    });
    for (let i = 0; i < 5; i++) await gateway.ask(aRequest);
    await until('the lines', () => gateway.log.length === 5);
    expect(gateway.log.every(({ calls }) => calls === undefined)).toBe(true);
  });
});

describe('bounds', () => {
  test('a body above the bound is refused before the service is asked for it', async () => {
    let bytes = 0;
    await using gateway = await openGateway({
      limits: { maxRequestBytes: 1_000 },
      upstream: (request) => request.on('data', (chunk: Buffer) => (bytes += chunk.length)),
    });
    const declared = await gateway.ask('x'.repeat(1_001), { 'content-length': '1001' });
    expect(declared.status).toBe(413);
    expect(bytes).toBe(0);
    const undeclared = await gateway.ask(`{"model":"m","input":"${'x'.repeat(1_001)}"}`);
    expect(undeclared.status).toBe(413);
    expect(JSON.parse(undeclared.text)).toMatchObject({ error: { code: 'request_too_large' } });
    await until('both lines', () => gateway.log.length === 2);
    expect(gateway.log).toMatchObject([{ outcome: 'request_refused' }, { outcome: 'request_refused' }]);
  });

  test('a body that is longer than declared never becomes a second request', async () => {
    const urls: (string | undefined)[] = [];
    await using gateway = await openGateway({
      upstream: (request, response) => {
        urls.push(request.url);
        request.resume().once('end', () => response.end('{}'));
      },
    });
    const smuggled = `${aRequest}POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n`;
    await expect(gateway.ask(smuggled, { 'content-length': String(aRequest.length) })).rejects.toThrow('reset');
    await until('the end of the call', () => gateway.log.length === 1);
    expect(gateway.log[0]).toMatchObject({ outcome: 'guest_left' });
    expect(urls).not.toContain('/v1/files');
  });

  test('one call too many is refused, and the next one passes when another has ended', async () => {
    const responses: ServerResponse[] = [];
    await using gateway = await openGateway({
      limits: { maxCallsPerAgent: 1 },
      upstream: (_request, response) => void responses.push(response),
    });
    const first = gateway.ask(aRequest);
    await until('the first call', () => responses.length === 1);
    expect((await gateway.ask(aRequest)).status).toBe(429);
    expect(gateway.log).toMatchObject([
      { agentId: gateway.caller.agentId, outcome: 'request_refused', cause: 'too_many_calls' },
    ]);
    expect(gateway.calls).toMatchObject([{ outcome: 'request_refused', cause: 'too_many_calls' }]);
    responses[0]?.end('{}');
    expect((await first).status).toBe(200);
    const next = gateway.ask(aRequest);
    await until('the next call', () => responses.length === 2);
    responses[1]?.end('{}');
    expect((await next).status).toBe(200);
  });

  test('a guest that does not read holds the service back instead of filling memory, and loses nothing', async () => {
    const total = 64 * 1024 * 1024;
    let sent = 0;
    await using gateway = await openGateway({
      upstream: (_request, response) => {
        const block = Buffer.alloc(64 * 1024, 'x');
        const more = (): void => {
          while (sent < total) {
            sent += block.length;
            if (!response.write(block)) {
              response.once('drain', more);
              return;
            }
          }
          response.end();
        };
        more();
      },
    });
    const stream = gateway.open({ ':method': 'POST', ':path': '/model/v1/responses' });
    stream.end(aRequest);
    await new Promise((resolve) => stream.once('response', resolve));
    let before = -1;
    await until('the service to be held back', async () => {
      if (sent === before) return true;
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return false;
    });
    expect(sent).toBeLessThan(total / 2);
    let received = 0;
    for await (const chunk of stream) received += (chunk as Buffer).length;
    expect(received).toBe(total);
  });

  test('a service that does not read holds the guest back', async () => {
    await using gateway = await openGateway({
      upstream: (request) => void request.pause(),
      limits: { maxRequestBytes: 1e9 },
    });
    const stream = gateway.open({
      ':method': 'POST',
      ':path': '/model/v1/responses',
      'content-length': 1e9,
    });
    stream.write('{"model":"m","input":"');
    const block = Buffer.alloc(1024 * 1024, 'x');
    let taken = 0;
    const send = (): void => {
      if (taken < 200) stream.write(block, () => send());
      taken += 1;
    };
    send();
    let before = -1;
    await until('the guest to be held back', async () => {
      if (taken === before) return true;
      before = taken;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return false;
    });
    expect(taken).toBeLessThan(100);
    stream.destroy();
  });

  test('what comes byte by byte for a service that takes nothing is gathered', async () => {
    const silent = createTcpServer().listen(0, '127.0.0.1'); // it does not say hello
    await once(silent, 'listening');
    const write = vi.spyOn(ClientRequest.prototype, 'write');
    try {
      await using gateway = await openGateway({
        baseUrl: `https://127.0.0.1:${(silent.address() as AddressInfo).port}`,
      });
      const stream = gateway.open({ ':method': 'POST', ':path': '/model/v1/responses', 'content-length': 1e6 });
      stream.write('{"model":"m","input":"');
      await until('it is passed on', () => write.mock.calls.length > 0);
      for (let sent = 0; sent < 5_000; sent++) await new Promise((resolve) => stream.write('x', resolve));
      await readAnswer(gateway.open({ ':method': 'GET', ':path': '/model/nothing' }, { endStream: true })); // all has come
      expect(write.mock.calls.length).toBeLessThan(10);
      stream.destroy();
    } finally {
      write.mockRestore();
      silent.close();
    }
  });
});
