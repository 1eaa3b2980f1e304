import type { ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { until } from '../../until.ts';
import { aRequest, openGateway, readAnswer, sse } from './gateway-fixture.ts';
import { MemoryBudget } from './memory-budget.ts';

const delta = 'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"word"}\n\n';
const completed =
  'data: {"type":"response.completed","response":{"usage":{"input_tokens":500,"output_tokens":100}}}\n\n';

const chunk = (usage: object): string =>
  `data: ${JSON.stringify({ choices: [{ delta: { content: 'word' } }], usage })}\n\n`;
const messageStart =
  'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":5,"output_tokens":1}}}\n\n';
const messageWord =
  'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"type":"text_delta","text":"word"}}\n\n';

describe('a call without room', () => {
  test.each([
    ['/model/v1/responses', { error: { type: 'insufficient_quota', code: 'insufficient_quota', param: null } }],
    ['/model/v1/chat/completions', { error: { type: 'insufficient_quota', code: 'insufficient_quota' } }],
    ['/model/v1/messages', { type: 'error', error: { type: 'rate_limit_error' } }],
  ])('of %s is a 429 in the form of the vendor, and the service is not asked', async (path, body) => {
    let isAsked = false;
    const budget = new MemoryBudget(1_000, Date.now() + 90_000);
    await using gateway = await openGateway({ budget, upstream: () => (isAsked = true) });
    const answer = await gateway.ask(aRequest, { ':path': path });
    expect(answer.status).toBe(429);
    expect(JSON.parse(answer.text)).toMatchObject(body);
    expect(answer.text).toContain('The budget of 1000 tokens is spent.');
    expect(answer.headers).toMatchObject({ 'x-should-retry': 'false' });
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(80);
    expect(isAsked).toBe(false);
    expect(budget).toMatchObject({ held: 0, spent: 0 });
    expect(gateway.log).toMatchObject([{ outcome: 'budget_spent', cause: 'insufficient_quota' }]);
  });

  test('of a budget that cannot be asked is not made', async () => {
    let isAsked = false;
    const budget = new MemoryBudget();
    budget.failure = new Error('the ledger is gone');
    await using gateway = await openGateway({ budget, upstream: () => (isAsked = true) });
    const answer = await gateway.ask(aRequest);
    expect(answer.status).toBe(503);
    expect(answer.text).not.toContain('ledger');
    expect(isAsked).toBe(false);
  });
});

test('a call whose guest leaves while room is made for it holds none', async () => {
  const held = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  class SlowBudget extends MemoryBudget {
    override async hold(...asked: Parameters<MemoryBudget['hold']>): ReturnType<MemoryBudget['hold']> {
      const hold = await super.hold(...asked);
      held.resolve();
      await goOn.promise;
      return hold;
    }
  }
  const budget = new SlowBudget();
  await using gateway = await openGateway({ budget });
  const stream = gateway.begin(aRequest);
  await held.promise;
  stream.destroy();
  await until('the end of the call', () => gateway.calls.length === 1);
  expect(budget.endings).toEqual([]);
  goOn.resolve();
  await until('the room is free', () => budget.held === 0);
  expect(budget.endings).toEqual(['released']);
});

test('calls at the same time never hold more than there is', async () => {
  const responses: ServerResponse[] = [];
  const budget = new MemoryBudget(5_100);
  await using gateway = await openGateway({ budget, upstream: (_, response) => void responses.push(response) });
  const asked = Array.from({ length: 20 }, () => gateway.ask(aRequest));
  await until('the calls that pass', () => responses.length === 5);
  await until('the calls that do not', () => gateway.log.length > 0);
  expect(budget.held).toBeLessThanOrEqual(5_100);
  for (const response of responses) sse(response).end(completed);
  const statuses = (await Promise.all(asked)).map(({ status }) => status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(5);
  expect(statuses.filter((status) => status === 429)).toHaveLength(15);
  await until('the settlements', () => budget.held === 0);
  expect(budget.spent).toBe(3_000);
});

describe('a stream that passes its limit', () => {
  test('ends behind a whole event, with the error of the vendor', async () => {
    let isGone = false;
    const budget = new MemoryBudget(2_500);
    await using gateway = await openGateway({
      budget,
      upstream: (_, response) => {
        response.once('close', () => (isGone = true));
        sse(response);
        const more = (): void => {
          // In pieces that end in the middle of an event.
          if (!response.destroyed)
            response.write(`${delta.slice(9)}${delta}${delta.slice(0, 9)}`, () => setImmediate(more));
        };
        response.write(delta.slice(0, 9), more);
      },
    });
    const answer = await gateway.ask(aRequest);
    expect(answer.status).toBe(200);
    const events = answer.text.split('\n\n');
    expect(events.pop()).toBe('');
    const last = events.pop() ?? '';
    expect(last).toMatch(/^event: response\.failed\ndata: /);
    expect(JSON.parse(last.replace(/^.*\ndata: /, ''))).toMatchObject({
      type: 'response.failed',
      response: { status: 'failed', error: { code: 'insufficient_quota' } },
    });
    for (const each of events) expect(each).toBe(delta.trimEnd());
    expect(events.length).toBeGreaterThanOrEqual(2_000);
    await until('the service to notice', () => isGone);
    await until('the settlement', () => budget.held === 0);
    expect(gateway.kept).toMatchObject([{ outcome: 'budget_spent', isEstimated: true }]);
    expect(budget.spent).toBe((gateway.kept[0]?.inputTokens ?? 0) + (gateway.kept[0]?.outputTokens ?? 0));
  });

  test('and falls silent in the middle of an event is cut', async () => {
    const budget = new MemoryBudget(1_500);
    await using gateway = await openGateway({
      budget,
      upstream: (_, response) => void sse(response).write(`${delta.repeat(1_200)}data: {"half`),
    });
    await expect(gateway.ask(aRequest)).rejects.toThrow('reset');
    expect(gateway.kept).toMatchObject([{ outcome: 'budget_spent' }]);
    expect(budget.held).toBe(0);
  });

  test.each([
    ['/model/v1/chat/completions', 'data: {"choices":[{"delta":{"content":"word"}}]}\n\n', '{"error":{"message"'],
    [
      '/model/v1/messages',
      'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"word"}}\n\n',
      '{"type":"error","error":{"type":"rate_limit_error"',
    ],
  ])('of %s ends in the form of that API', async (path, piece, error) => {
    await using gateway = await openGateway({
      budget: new MemoryBudget(1_500),
      upstream: (_, response) => {
        sse(response);
        const more = (): void => {
          if (!response.destroyed) response.write(piece, () => setImmediate(more));
        };
        more();
      },
    });
    const answer = await gateway.ask(aRequest, { ':path': path });
    expect(answer.text.split('\n\n').at(-2)).toContain(error);
  });

  test.each([
    [
      'that tells its usage with every piece',
      '/model/v1/chat/completions',
      (output: number) => chunk({ prompt_tokens: 1, completion_tokens: output }),
    ],
    [
      'whose beginning tells its usage',
      '/model/v1/messages',
      (output: number) => (output === 1 ? messageStart : messageWord),
    ],
    [
      'whose words are those of its end',
      '/model/v1/responses',
      () => delta.replace('"word"', JSON.stringify('"type":"response.completed"')),
    ],
  ])('%s ends there, and is counted for what it has said', async (_, path, piece) => {
    const budget = new MemoryBudget(1_500);
    await using gateway = await openGateway({
      budget,
      upstream: (_request, response) => {
        sse(response);
        let output = 0;
        const more = (): void => {
          output += 1;
          if (output > 5_000) response.end();
          else if (!response.destroyed) response.write(piece(output), () => setImmediate(more));
        };
        more();
      },
    });
    await gateway.ask(aRequest, { ':path': path });
    await until('the settlement', () => gateway.kept.length === 1 && budget.held === 0);
    expect(gateway.kept).toMatchObject([{ outcome: 'budget_spent' }]);
    expect(budget.spent).toBeGreaterThan(1_000);
  });

  test('but has said all meanwhile is left whole', async () => {
    const budget = new MemoryBudget(1_500);
    await using gateway = await openGateway({
      budget,
      upstream: (_, response) => void sse(response).end(delta.repeat(1_200) + completed),
    });
    expect((await gateway.ask(aRequest)).text.endsWith(completed)).toBe(true);
    await until('the settlement', () => budget.held === 0);
    expect(budget.spent).toBe(600);
  });
});

test('a stream that goes on holds more as it grows, and gives back what it did not take', async () => {
  const budget = new MemoryBudget(10_000);
  let response: ServerResponse | undefined;
  await using gateway = await openGateway({
    budget,
    upstream: (_, given) => void (response = sse(given)).write(delta.repeat(3_500)),
  });
  const stream = gateway.open({ ':method': 'POST', ':path': '/model/v1/responses' });
  const answer = readAnswer(stream);
  stream.end(aRequest);
  await until('the room that it needs', () => budget.held > 4_000);
  response?.end(completed);
  await answer;
  await until('the settlement', () => budget.held === 0);
  expect(budget.spent).toBe(600);
});
