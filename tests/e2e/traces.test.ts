import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '../doubles/otlp-receiver.ts';
import { until } from '../until.ts';
import { modelKey, startTestControlPlane, type TestControlPlane } from './support/control-plane.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const callersSpan = '00f067aa0ba902b7';
const said = 'run curl -s http://secret-words.example.com/';

let receiver: OtlpReceiver;
let plane: TestControlPlane;
const undo = new AsyncDisposableStack();
beforeAll(async () => {
  receiver = undo.use(await startOtlpReceiver());
  plane = undo.use(
    await startTestControlPlane({
      CAISSON_OTLP_ENDPOINT: receiver.url,
      CAISSON_OTLP_HEADERS: 'x-collector-key=collector',
    }),
  );
});
afterAll(() => undo.disposeAsync());

const post = async (path: string, input: unknown, headers: Record<string, string> = {}): Promise<unknown> => {
  const answer = await fetch(`${plane.url}/trpc/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${plane.adminKey}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(input),
  });
  expect(answer.status).toBe(200);
  return ((await answer.json()) as { result: { data: unknown } }).result.data;
};

describe('a message of a caller who traces', { timeout: 60_000 }, () => {
  test('is one trace: the call, the run, its sandbox, its wire, its model and its connections', async () => {
    const agent = await plane.client.agents.create.mutate({ name: 'traced' });
    const { id: conversationId } = await plane.client.conversations.open.mutate({ agentId: agent.id });
    const traceparent = `00-${traceId}-${callersSpan}-01`;
    await post('agents.sendMessage', { agentId: agent.id, conversationId, message: said }, { traceparent });
    const part = async (name: string | RegExp, parent?: ReceivedSpan): Promise<ReceivedSpan> =>
      await receiver.waitFor(`${name}`, (span) => {
        const isNamed = typeof name === 'string' ? span.name === name : name.test(span.name);
        return isNamed && span.traceId === traceId && (parent === undefined || span.parentSpanId === parent.spanId);
      });

    const call = await part('POST /trpc/:path');
    expect(call).toMatchObject({
      kind: 2,
      parentSpanId: callersSpan,
      resource: { 'service.name': 'caisson', 'service.version': 'test', 'service.instance.id': expect.any(String) },
      attributes: { 'rpc.method': 'agents.sendMessage', 'http.response.status_code': 200, 'http.route': '/trpc/:path' },
    });
    const run = await part('invoke_agent', call);
    expect(run.attributes).toMatchObject({
      'gen_ai.agent.id': agent.id,
      'gen_ai.conversation.id': conversationId,
      'caisson.run.state': 'completed',
    });
    expect(run.events.map(({ name }) => name)).toEqual(['run.starting', 'run.started']);
    expect((await part(/^PUT \/v1\/turns\/\{id\}$|^POST \/v1\/turns\/\{id\}$/, run)).kind).toBe(3);
    const model = await part('chat gpt-5.5', run);
    expect(model.attributes).toMatchObject({
      'gen_ai.provider.name': 'openai',
      'gen_ai.conversation.id': conversationId,
      'caisson.model.outcome': 'answered',
      'gen_ai.usage.input_tokens': expect.any(Number),
    });
    const connection = await part('egress.connection', run);
    expect(connection).toMatchObject({
      attributes: {
        'server.address': 'secret-words.example.com',
        'server.port': 80,
        'caisson.egress.decision': 'deny',
      },
      status: { code: 2 },
    });
    for (const { startTimeUnixNano, endTimeUnixNano } of receiver.spans) {
      expect(BigInt(endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(startTimeUnixNano));
    }
  });

  test('shows a start of a sandbox in what made it necessary: a new agent, and a message after it was stopped', async () => {
    const agent = await plane.client.agents.create.mutate({ name: 'started', wait: true });
    const starts = (): readonly ReceivedSpan[] =>
      receiver.spans.filter(
        ({ name, attributes }) => name === 'sandbox.start' && attributes['gen_ai.agent.id'] === agent.id,
      );
    const parentOf = async (what: string, at: number): Promise<ReceivedSpan> => {
      const { traceId: id, parentSpanId } = await until(what, () => starts()[at]);
      return await receiver.waitFor(
        `${what}: its parent`,
        (each) => each.traceId === id && each.spanId === parentSpanId,
      );
    };
    expect((await parentOf('the first start', 0)).attributes).toMatchObject({ 'rpc.method': 'agents.create' });
    expect(starts()[0]?.attributes).toMatchObject({ 'caisson.sandbox.provider': 'docker' });
    await plane.provider.stop(agent.id);
    const { id: conversationId } = await plane.client.conversations.open.mutate({ agentId: agent.id });
    await plane.client.agents.sendMessage.mutate({ agentId: agent.id, conversationId, message: 'say hi' });
    expect(await parentOf('the second start', 1)).toMatchObject({ name: 'invoke_agent' });
  });

  test('tells neither what was said, nor commands, nor any key', async () => {
    const all = receiver.bodies.join('\n');
    expect(receiver.headers[0]).toMatchObject({ 'x-collector-key': 'collector' });
    expect(all).not.toContain('curl');
    expect(all).not.toContain(modelKey);
    expect(all).not.toContain(plane.adminKey);
    expect(all).not.toContain('collector');
  });
});
