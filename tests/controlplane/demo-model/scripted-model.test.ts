import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { numberedWords, startScriptedModel, streamedDeltas, type ScriptedModel } from '../../doubles/scripted-model.ts';
import { deltasOf, eventsOf, post, streamed } from './http.ts';

let model: ScriptedModel;
beforeEach(async () => {
  model = await startScriptedModel();
});
afterEach(() => model.close());

const ask = (text: string): Promise<Response> => post(model.baseUrl, { model: 'gpt-5.5', stream: true, input: text });

test('streams numbered deltas of the size that was asked for', async () => {
  const deltas = deltasOf(await streamed(model.baseUrl, 'stream 2000 x 8'));
  expect(deltas).toEqual([...streamedDeltas(2000, 8)]);
  expect(deltas[41]).toBe('0000042\n');
  expect(() => [...streamedDeltas(100, 3)]).toThrow(RangeError);
});

test('a large stream waits for a slow reader instead of filling memory', async () => {
  const response = await ask('stream 200000 x 128');
  const reader = response.body?.getReader();
  await reader?.read();
  await reader?.cancel();
  const request = await model.waitForRequest((seen) => seen.outcome !== 'open');
  expect(request.outcome).toBe('aborted');
});

test('hold waits for its gate', async () => {
  const response = await ask('hold a');
  const events = eventsOf(response);
  await model.waitForRequest((seen) => seen.userText === 'hold a' && seen.outcome === 'open');
  model.openGate('a');
  expect(deltasOf(await events)).toEqual(['before ', 'after']);
});

test('think sends a reasoning summary before the text', async () => {
  const done = (await streamed(model.baseUrl, 'think hard')).filter(
    (event) => event.type === 'response.output_item.done',
  );
  expect(done.map((event) => event.item?.type)).toEqual(['reasoning', 'message']);
});

describe('faults', () => {
  test.each([400, 401, 403, 404, 429, 500, 503])('http %i', async (status) => {
    const response = await ask(`http ${status}`);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: { message: expect.any(String) } });
  });

  test('quota is 429 insufficient_quota', async () => {
    const response = await ask('quota');
    expect(response.status).toBe(429);
    expect(await response.json()).toMatchObject({ error: { type: 'insufficient_quota' } });
  });

  test('cut after 3 sends exactly three deltas', async () => {
    const response = await ask('cut after 3');
    let received = '';
    await expect(async () => {
      if (response.body === null) throw new Error('There is no body.');
      for await (const text of response.body.pipeThrough(new TextDecoderStream())) received += text;
    }).rejects.toThrow('terminated');
    expect(received.match(/"delta":"word-\d+ "/g)).toEqual(['1', '2', '3'].map((n) => `"delta":"word-${n} "`));
    expect(numberedWords(2)).toBe('word-1 word-2 ');
  });

  test('failed ends the stream with response.failed', async () => {
    const events = await streamed(model.baseUrl, 'failed server_error');
    expect(events.at(-1)).toMatchObject({ type: 'response.failed', response: { error: { code: 'server_error' } } });
  });

  test('hang sends the head of the stream and then nothing', async () => {
    const leave = new AbortController();
    const response = await post(model.baseUrl, { model: 'm', stream: true, input: 'hang' }, leave.signal);
    expect(response.status).toBe(200);
    leave.abort();
    expect((await model.waitForRequest((seen) => seen.outcome !== 'open')).outcome).toBe('aborted');
  });

  test('silence sends nothing at all, reset cuts at once', async () => {
    const leave = new AbortController();
    const silent = post(model.baseUrl, { model: 'm', stream: true, input: 'silence' }, leave.signal);
    await model.waitForRequest((seen) => seen.userText === 'silence');
    leave.abort();
    await expect(silent).rejects.toThrow('aborted');
    await expect(ask('reset')).rejects.toThrow('fetch failed');
  });

  test('once, and N times, hit the first attempts of a turn only', async () => {
    expect((await ask('http 500 once')).status).toBe(500);
    expect(deltasOf(await streamed(model.baseUrl, 'http 500 once'))).toEqual(['recovered']);
    const statuses = [];
    for (let attempt = 0; attempt < 3; attempt++) statuses.push((await ask('http 500 2 times')).status);
    expect(statuses).toEqual([500, 500, 200]);
  });

  test('a fault that is set hits whatever is asked, until it is lifted or used up', async () => {
    model.setFault({ kind: 'http', status: 500 }, { times: 1 });
    expect([(await ask('say hi')).status, (await ask('say hi')).status]).toEqual([500, 200]);
    model.setFault({ kind: 'quota' });
    expect((await ask('say hi')).status).toBe(429);
    model.setFault(null);
    expect((await ask('say hi')).status).toBe(200);
  });
});

test('records what came, with the authorization as it came, and how it ended', async () => {
  await streamed(model.baseUrl, 'say hi');
  const headers = { authorization: 'Bearer secret' };
  await fetch(`${model.baseUrl}/responses`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ model: 'm', input: 'say ho' }),
  });
  await model.waitForRequest((request) => request.number === 2 && request.outcome === 'answered');
  expect(model.requests).toMatchObject([
    { number: 1, userText: 'say hi', authorization: null, purpose: 'turn', outcome: 'answered' },
    { number: 2, userText: 'say ho', authorization: 'Bearer secret', model: 'm' },
  ]);
});

test('waiting for a request that does not come ends with an error', async () => {
  await expect(model.waitForRequest(() => false, 10)).rejects.toThrow('No such model request within 10 ms');
});

test('takes a script of the test\u2019s own', async () => {
  await using own = await startScriptedModel({
    script: (request) => ({ kind: 'reply', deltas: [request.userText.toUpperCase()] }),
  });
  expect(deltasOf(await streamed(own.baseUrl, 'hi'))).toEqual(['HI']);
});
