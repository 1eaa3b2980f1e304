import { once } from 'node:events';
import type { RequestListener, ServerResponse } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { HandClock } from '../../acp/hand-clock.ts';
import { until } from '../../until.ts';
import { aRequest, bodyOf, type GatewayFixture, openGateway, readAnswer, sse } from './gateway-fixture.ts';

const usage = (input: number, output: number): object => ({
  input_tokens: input,
  input_tokens_details: { cached_tokens: 3 },
  output_tokens: output,
  output_tokens_details: { reasoning_tokens: 2 },
});

function event(type: string, fields: object = {}): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
}

const delta = event('response.output_text.delta', { delta: 'word' });
const completed = (counts: object | null): string =>
  event('response.completed', { response: { model: 'gpt-5.5-2026', usage: counts } });

/** Answers every request with these pieces, then ends, or cuts. */
function streaming(pieces: readonly string[], { cut = false } = {}): RequestListener {
  return (request, response) => {
    request.resume();
    sse(response);
    for (const piece of pieces) response.write(piece);
    if (cut) response.write('', () => response.destroy());
    else response.end();
  };
}

async function lastKept(gateway: GatewayFixture): Promise<GatewayFixture['kept'][number]> {
  await until('the call to be kept', () => gateway.kept.length > 0);
  const call = gateway.kept.at(-1);
  if (call === undefined) throw new Error('nothing was kept');
  return call;
}

describe('a stream', () => {
  test('is counted by the usage that it tells, on whom it belongs to', async () => {
    await using gateway = await openGateway({ upstream: streaming([delta, completed(usage(11, 7))]) });
    await gateway.ask(aRequest);
    expect(await lastKept(gateway)).toMatchObject({
      userId: gateway.caller.userId,
      agentId: gateway.caller.agentId,
      conversationId: gateway.caller.conversationId,
      runId: gateway.caller.runId,
      upstream: 'main',
      api: 'responses',
      model: 'gpt-5.5',
      outcome: 'answered',
      inputTokens: 11,
      cachedInputTokens: 3,
      outputTokens: 7,
      reasoningTokens: 2,
      costMicros: Math.ceil(8 * 5 + 3 * 0.5 + 7 * 30),
      isEstimated: false,
      priceVersion: expect.stringMatching(/^2026-/),
    });
    expect(gateway.budget).toMatchObject({ spent: 18, held: 0, endings: ['settled'] });
  });

  test('of the demo model is told as its own, and costs nothing; its tokens count, and another service keeps its prices', async () => {
    const asked: string[] = [];
    await using demo = await openGateway({
      upstream: (request, response) => {
        void bodyOf(request).then((body) => asked.push(body));
        sse(response).end(completed(usage(11, 7)));
      },
    });
    await using real = await openGateway({ upstream: streaming([completed(usage(11, 7))]) });
    const main = { name: 'main', apiKey: null, keyHeader: 'bearer', models: ['*'] } as const;
    await using both = await openGateway({
      routes: {
        upstreams: [
          { ...main, name: 'real', baseUrl: real.upstreamUrl, models: ['demo'] },
          { ...main, baseUrl: demo.upstreamUrl, isDemo: true },
        ],
      },
    });
    await both.ask(aRequest);
    expect(await lastKept(both)).toMatchObject({
      model: 'demo',
      upstream: 'main',
      inputTokens: 11,
      outputTokens: 7,
      costMicros: 0,
      priceVersion: 'demo',
    });
    expect(asked).toEqual(['{"model":"demo"}']);
    expect(both.budget).toMatchObject({ spent: 18, held: 0 });
    await both.ask('{"model":"demo"}');
    await until('the second call to be kept', () => both.kept.length === 2);
    expect(both.kept[1]).toMatchObject({ upstream: 'real', model: 'demo', priceVersion: 'default' });
    expect(both.kept[1]?.costMicros).toBeGreaterThan(0);
  });

  test('without usage is counted by its size, and flagged', async () => {
    await using gateway = await openGateway({ upstream: streaming([delta, delta, delta, completed(null)]) });
    const body = `{"model":"gpt-5.5","input":"${'x'.repeat(400)}"}`;
    await gateway.ask(body, { 'content-length': String(body.length) });
    expect(await lastKept(gateway)).toMatchObject({
      inputTokens: Math.ceil(body.length / 4),
      outputTokens: 3,
      isEstimated: true,
    });
    expect(gateway.budget).toMatchObject({ spent: Math.ceil(body.length / 4) + 3, held: 0 });
  });

  test('with two usages is counted once, by the higher one', async () => {
    await using gateway = await openGateway({
      upstream: streaming([completed(usage(11, 9)), delta, completed(usage(12, 7))]),
    });
    await gateway.ask(aRequest);
    expect(await lastKept(gateway)).toMatchObject({ inputTokens: 12, outputTokens: 9, isEstimated: false });
    expect(gateway.budget).toMatchObject({ spent: 21, held: 0 });
  });

  test('that is cut before its usage is counted by what had passed', async () => {
    await using gateway = await openGateway({ upstream: streaming([delta, delta], { cut: true }) });
    await expect(gateway.ask(aRequest)).rejects.toThrow('reset');
    expect(await lastKept(gateway)).toMatchObject({ outcome: 'upstream_cut', outputTokens: 2, isEstimated: true });
    expect(gateway.budget).toMatchObject({ held: 0, endings: ['settled'] });
  });

  test('whose guest leaves is counted by what had passed', async () => {
    await using gateway = await openGateway({
      clock: new HandClock(),
      upstream: (_, response) => void sse(response).write(delta),
    });
    const stream = gateway.begin(aRequest);
    await once(stream, 'data');
    stream.destroy();
    expect(await lastKept(gateway)).toMatchObject({ outcome: 'guest_left', outputTokens: 1, isEstimated: true });
  });

  test('whose request does not declare its length, and whose guest leaves, is counted by all of the request', async () => {
    await using gateway = await openGateway({
      upstream: (request, response) => void request.resume().once('end', () => sse(response).write(delta)),
    });
    const stream = gateway.open({ ':method': 'POST', ':path': '/model/v1/responses' });
    stream.write('{"model":"gpt-5.5","input":"');
    await new Promise((resolve) => stream.session?.ping(resolve)); // that much has come
    stream.end(`${'x'.repeat(400_000)}"}`);
    await once(stream, 'data');
    expect(gateway.budget.held).toBeGreaterThan(100_000);
    stream.destroy();
    expect(await lastKept(gateway)).toMatchObject({ inputTokens: Math.ceil(400_030 / 4), isEstimated: true });
  });

  test('whose guest leaves before the model has said anything, as while it reasons unseen, is counted by what was held', async () => {
    const created = event('response.created', { response: { model: 'gpt-5.5-2026' } });
    await using gateway = await openGateway({
      clock: new HandClock(),
      upstream: (_, response) => void sse(response).write(created),
    });
    const stream = gateway.begin(aRequest);
    await once(stream, 'data');
    stream.destroy();
    expect(await lastKept(gateway)).toMatchObject({ outcome: 'guest_left', outputTokens: 1_000, isEstimated: true });
  });

  describe('whose guest leaves while the model reasons unseen', () => {
    const minuteOfReasoning = 60_000;
    const tokensOfIt = 6_000;
    const created = event('response.created', { response: { model: 'gpt-5.5-2026' } });
    const start = event('message_start', { message: { model: 'm', usage: { input_tokens: 500, output_tokens: 1 } } });

    test.each([
      ['before its first word', '/model/v1/responses', created, tokensOfIt],
      ['behind a word', '/model/v1/responses', delta, 1 + tokensOfIt],
      ['behind a usage that was told at the beginning', '/model/v1/messages', start, 1 + tokensOfIt],
    ])('%s is counted by the time of it', async (_, path, piece, outputTokens) => {
      const clock = new HandClock();
      await using gateway = await openGateway({
        clock,
        upstream: (_request, response) => void sse(response).write(piece),
      });
      const stream = gateway.begin(aRequest, { ':path': path });
      await once(stream, 'data');
      clock.advance(minuteOfReasoning);
      stream.destroy();
      expect(await lastKept(gateway)).toMatchObject({ outcome: 'guest_left', outputTokens, isEstimated: true });
      expect(gateway.budget).toMatchObject({ held: 0, endings: ['settled'] });
    });

    test('and the answer has not begun is counted by the time since the request was whole', async () => {
      const clock = new HandClock();
      let isAsked = false;
      await using gateway = await openGateway({
        clock,
        upstream: (request) => request.resume().once('end', () => (isAsked = true)),
      });
      const stream = gateway.open({ ':method': 'POST', ':path': '/model/v1/responses' });
      stream.write(aRequest.slice(0, -1));
      clock.advance(minuteOfReasoning);
      stream.end(aRequest.slice(-1));
      await until('the request', () => isAsked);
      clock.advance(minuteOfReasoning);
      stream.destroy();
      expect(await lastKept(gateway)).toMatchObject({ outcome: 'guest_left', outputTokens: tokensOfIt });
    });

    /** What is kept of a call whose guest leaves `lastMs` after the last piece; before each of `pieces` there is a pause. */
    const keptOf = async (pieces: readonly (readonly [pauseMs: number, piece: string])[], lastMs = 0) => {
      const clock = new HandClock();
      let response: ServerResponse | undefined;
      await using gateway = await openGateway({
        clock,
        upstream: (_request, given) => void (response = sse(given)).write(delta),
      });
      const stream = gateway.begin(aRequest);
      for (const [pauseMs, piece] of pieces) {
        await once(stream, 'data');
        clock.advance(pauseMs);
        response?.write(piece);
      }
      await once(stream, 'data');
      clock.advance(lastMs);
      stream.destroy();
      return await lastKept(gateway);
    };

    test('is counted for all such times, but not for more than a model writes', async () => {
      const kept = await keptOf([1, 10, 100].map((minutes) => [minutes * minuteOfReasoning, delta]));
      expect(kept).toMatchObject({ outcome: 'guest_left', outputTokens: 4 + 128_000 });
    });

    test('is not charged for the ordinary pauses between words, each shorter than 2 s', async () => {
      const pieces = Array.from({ length: 5 }, () => [1_999, delta] as const);
      expect(await keptOf(pieces, 1_999)).toMatchObject({ outcome: 'guest_left', outputTokens: 6 });
    });

    test('is not charged for it where the service told its usage', async () => {
      const kept = await keptOf([[minuteOfReasoning, completed(usage(11, 7))]]);
      expect(kept).toMatchObject({ outcome: 'answered', outputTokens: 7, isEstimated: false });
    });
  });

  test('whose usage so far was told at its beginning is counted by what had passed since, too', async () => {
    const start = event('message_start', { message: { model: 'm', usage: { input_tokens: 500, output_tokens: 1 } } });
    const word = event('content_block_delta', { delta: { type: 'text_delta', text: 'word' } });
    await using gateway = await openGateway({ upstream: streaming([start, word, word, word], { cut: true }) });
    await expect(gateway.ask(aRequest, { ':path': '/model/v1/messages' })).rejects.toThrow('reset');
    expect(await lastKept(gateway)).toMatchObject({ inputTokens: 500, outputTokens: 4, isEstimated: true });
    expect(gateway.budget).toMatchObject({ spent: 504, held: 0, endings: ['settled'] });
  });

  test('that fails by its own word before the model said anything costs nothing', async () => {
    const failed = event('response.failed', { response: { error: { code: 'server_error' } } });
    await using gateway = await openGateway({ upstream: streaming([failed]) });
    await gateway.ask(aRequest);
    await until('the end', () => gateway.log.length === 1);
    expect(gateway.kept).toEqual([]);
    expect(gateway.budget).toMatchObject({ spent: 0, held: 0, endings: ['released'] });
  });

  test('of one huge line tells its usage all the same afterwards', async () => {
    const huge = event('response.output_item.done', { item: 'x'.repeat(5 * 1024 * 1024) });
    await using gateway = await openGateway({ upstream: streaming([huge, completed(usage(11, 7))]) });
    await gateway.ask(aRequest);
    expect(await lastKept(gateway)).toMatchObject({ inputTokens: 11, isEstimated: false });
  });

  test('with numbers that are none is counted by its size', async () => {
    await using gateway = await openGateway({ upstream: streaming([delta, completed(usage(-1, 1e300))]) });
    await gateway.ask(aRequest);
    expect(await lastKept(gateway)).toMatchObject({ outputTokens: 1, isEstimated: true });
  });
});

describe('what costs nothing', () => {
  test.each([400, 401, 429, 500])('a call that the service refuses with %i', async (status) => {
    await using gateway = await openGateway({ upstream: (_, response) => response.writeHead(status).end('{}') });
    await gateway.ask(aRequest);
    await until('the end', () => gateway.log.length === 1);
    expect(gateway.kept).toEqual([]);
    expect(gateway.budget).toMatchObject({ spent: 0, held: 0, endings: ['released'] });
  });

  test('a service that cannot be reached', async () => {
    await using gateway = await openGateway({ baseUrl: 'http://127.0.0.1:1/v1' });
    await gateway.ask(aRequest);
    await until('the end', () => gateway.log.length === 1);
    expect(gateway.budget).toMatchObject({ spent: 0, held: 0, endings: ['released'] });
  });

  test('the list of models', async () => {
    await using gateway = await openGateway({ upstream: (_, response) => response.end('{}') });
    await readAnswer(gateway.open({ ':path': '/model/v1/models' }, { endStream: true }));
    await until('the end', () => gateway.log.length === 1);
    expect([gateway.kept, gateway.budget.endings]).toEqual([[], []]);
  });
});

test('whoever asks and does not wait pays for what was held', async () => {
  let isAsked = false;
  await using gateway = await openGateway({
    upstream: (request) => request.resume().once('end', () => (isAsked = true)),
  });
  const stream = gateway.begin(aRequest);
  await until('the request', () => isAsked);
  stream.destroy();
  expect(await lastKept(gateway)).toMatchObject({ outcome: 'guest_left', outputTokens: 1_000, isEstimated: true });
});

test('a call that its guest gives up while the service is not reached yet costs nothing', async () => {
  await using stack = new AsyncDisposableStack();
  let hasKnocked = false;
  const silent = createServer((socket) => {
    stack.defer(() => void socket.destroy());
    socket.on('error', () => undefined).once('data', () => (hasKnocked = true)); // and is never greeted
  }).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  stack.defer(() => void silent.close());
  const { port } = silent.address() as AddressInfo;
  await using gateway = await openGateway({ baseUrl: `https://127.0.0.1:${port}/v1` });
  const stream = gateway.begin(aRequest);
  await until('the connection', () => hasKnocked);
  stream.destroy();
  await until('the end of the call', () => gateway.calls.length === 1);
  expect(gateway.calls).toMatchObject([{ outcome: 'guest_left', requestBytes: aRequest.length, charge: null }]);
  expect(gateway.budget).toMatchObject({ held: 0, endings: ['released'] });
});

test('a call that cannot be settled or kept is answered all the same, and its figures are in the log', async () => {
  let response: ServerResponse | undefined;
  await using gateway = await openGateway({
    sinkFails: new Error('the disk is full'),
    upstream: (request, given) => {
      request.resume();
      response = sse(given);
      response.write(delta);
    },
  });
  const stream = gateway.open({ ':method': 'POST', ':path': '/model/v1/responses' });
  const answer = readAnswer(stream);
  stream.end(aRequest);
  await until('the service', () => response !== undefined);
  gateway.budget.failure = new Error('the ledger is gone');
  response?.end(completed(usage(11, 7)));
  expect((await answer).text).toContain('response.completed');
  await until('the lines', () => gateway.log.length === 3);
  expect(gateway.log).toContainEqual(expect.objectContaining({ inputTokens: 11, outputTokens: 7, costMicros: 252 }));
});

test('the headers that name a session are told to whoever finds the caller, the nearest first', async () => {
  await using gateway = await openGateway({ upstream: (_, response) => response.end('{}') });
  await gateway.ask(aRequest, {
    'session-id': 's',
    'thread-id': 't',
    'x-codex-parent-thread-id': 'p',
    'x-codex-turn-metadata': '{}',
  });
  await gateway.ask(aRequest, { 'session-id': 'x'.repeat(200) });
  expect(gateway.sessions).toEqual([['t', 'p', 's'], []]);
});

test('an agent that is deleted asks for nothing any more', async () => {
  let isAsked = false;
  await using gateway = await openGateway({ isDeleted: true, upstream: () => (isAsked = true) });
  expect((await gateway.ask(aRequest)).status).toBe(404);
  expect(isAsked).toBe(false);
});

test('a clock that jumps while a call is under way changes its time of day, and nothing else', async () => {
  let jump = 0;
  class Jumping extends HandClock {
    override now(): number {
      return 1_800_000_000_000 + jump;
    }
  }
  await using gateway = await openGateway({
    clock: new Jumping(),
    upstream: (request, response) => {
      jump = -50 * 365 * 24 * 3_600_000;
      streaming([delta, completed(usage(11, 7))])(request, response);
    },
  });
  await gateway.ask(aRequest);
  const call = await lastKept(gateway);
  expect(call).toMatchObject({ at: 1_800_000_000_000 + jump, inputTokens: 11 });
  expect(call.ms).toBeGreaterThan(0);
  expect(call.ms).toBeLessThan(60_000);
});
