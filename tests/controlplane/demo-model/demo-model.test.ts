import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDemoModel } from '../../../src/controlplane/demo-model/demo-model.ts';
import type { ResponsesServer } from '../../../src/controlplane/demo-model/responses-server.ts';
import { classicTools, userInput } from './asking.ts';
import { deltasOf, eventsOf, post, streamed } from './http.ts';

let server: ResponsesServer;
beforeAll(async () => {
  server = await createDemoModel({ delayMs: 0 }).listen();
});
afterAll(() => server.close());

test('streams an answer word by word, in the events of the Responses API', async () => {
  const events = await streamed(server.baseUrl, 'say one two');
  expect(events.map((event) => event.type)).toEqual([
    'response.created',
    'response.output_item.added',
    'response.content_part.added',
    'response.output_text.delta',
    'response.output_text.delta',
    'response.output_text.done',
    'response.content_part.done',
    'response.output_item.done',
    'response.completed',
  ]);
  expect(deltasOf(events)).toEqual(['one ', 'two']);
  expect(events.find((event) => event.type === 'response.output_item.done')?.item?.content?.[0]?.text).toBe('one two');
});

test('reports usage: four characters a token, of the whole body and of the answer', async () => {
  const body = JSON.stringify({ model: 'gpt-5.5', stream: true, input: 'say twelve chars' });
  const events = await eventsOf(await post(server.baseUrl, body));
  const input = Math.ceil(body.length / 4);
  expect(events.at(-1)?.response?.usage).toMatchObject({
    input_tokens: input,
    output_tokens: 3,
    total_tokens: input + 3,
  });
});

test('streams a tool call after the sentence that announces it', async () => {
  const response = await post(server.baseUrl, {
    model: 'gpt-5.5',
    stream: true,
    input: userInput('run ls'),
    tools: classicTools,
  });
  const events = await eventsOf(response);
  const done = events.filter((event) => event.type === 'response.output_item.done').map((event) => event.item?.type);
  expect(done).toEqual(['message', 'function_call']);
  expect(events.at(-1)?.response?.output).toHaveLength(2);
});

test('answers with one document when no stream is asked for', async () => {
  const response = await post(server.baseUrl, { model: 'gpt-5.5', input: 'say hi' });
  expect(await response.json()).toMatchObject({
    object: 'response',
    status: 'completed',
    output: [{ type: 'message' }],
  });
});

test('fail is HTTP 400 in the shape of the service', async () => {
  const response = await post(server.baseUrl, { model: 'gpt-5.5', stream: true, input: 'fail' });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ error: { code: 'demo_failure', type: 'invalid_request_error' } });
});

test.each([
  ['not JSON', '{', 'not JSON'],
  ['no model', { input: 'hi' }, 'model'],
  ['an input of another shape', { model: 'm', input: 7 }, 'input'],
])('%s is HTTP 400 that says so', async (_, body, words) => {
  const response = await post(server.baseUrl, body);
  expect(response.status).toBe(400);
  expect(JSON.stringify(await response.json())).toContain(words);
});

test('a body over 32 MiB is HTTP 413', async () => {
  const response = await post(server.baseUrl, { model: 'm', input: 'x'.repeat(33 * 1024 * 1024) });
  expect(response.status).toBe(413);
});

test('lists its model, and has nothing else', async () => {
  const list = await fetch(`${server.baseUrl}/models`);
  expect(await list.json()).toMatchObject({ object: 'list', data: [{ id: 'gpt-5.5' }] });
  expect((await fetch(`${server.baseUrl}/chat/completions`, { method: 'POST' })).status).toBe(404);
});

test('serves many callers at once, each its own answer', async () => {
  const words = Array.from({ length: 20 }, (_, index) => `caller-${index}`);
  const answers = await Promise.all(words.map((word) => streamed(server.baseUrl, `say ${word}`)));
  expect(answers.map((events) => deltasOf(events).join(''))).toEqual(words);
});

test('listens on loopback only', async () => {
  await expect(createDemoModel().listen({ host: '0.0.0.0' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  expect(new URL(server.baseUrl).hostname).toBe('127.0.0.1');
});

test('says which port cannot be had', async () => {
  const port = Number(new URL(server.baseUrl).port);
  await expect(createDemoModel().listen({ port })).rejects.toThrow(`127.0.0.1:${port}`);
});

test('closing cuts a stream that is under way', async () => {
  const slow = await createDemoModel({ delayMs: 60_000 }).listen();
  const response = await post(slow.baseUrl, { model: 'm', stream: true, input: 'say hi' });
  const read = eventsOf(response);
  await Promise.all([slow.close(), expect(read).rejects.toThrow()]);
});
