import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../until.ts';
import { startTestControlPlane, type TestControlPlane } from './support/control-plane.ts';
import { Talk } from './support/talk.ts';

let plane: TestControlPlane;
beforeAll(async () => {
  plane = await startTestControlPlane({
    CAISSON_MODEL_ALIASES: 'house=gpt-5.5',
    CAISSON_MODEL_ALLOWED: 'admin=gpt-5.5,house',
  });
});
afterAll(() => plane[Symbol.asyncDispose]());

const someDays = (): { readonly from: string; readonly to: string } => {
  const day = (at: number): string => new Date(at).toISOString().slice(0, 10);
  return { from: day(Date.now() - 86_400_000), to: day(Date.now() + 86_400_000) };
};

describe('what real Codex asks of a model', { timeout: 60_000 }, () => {
  test('is counted on its conversation and its run, call by call, those that nobody sees as well', async () => {
    await using talk = await Talk.open(plane.client, 'counted');
    const { agentId } = talk;
    const before = plane.model.requestCount;
    const first = await talk.say('run echo one');
    const other = await talk.openConversation();
    const second = await talk.say('say two', { conversationId: other });
    const asked = plane.model.requestCount - before;
    const calls = await until('every call', async () => {
      const { items } = await plane.client.usage.calls.query({ agentId, limit: 200 });
      return items.length === asked && items;
    });
    for (const call of calls) {
      const run = [first.run, second.run].find(({ id }) => id === call.runId);
      expect(call).toMatchObject({
        agentId,
        conversationId: run?.conversationId,
        model: 'gpt-5.5',
        upstream: 'main',
        api: 'responses',
        outcome: 'answered',
        isEstimated: false,
      });
    }
    const ofFirst = calls.filter(({ runId }) => runId === first.run.id);
    const sum = (field: 'inputTokens' | 'outputTokens'): number =>
      ofFirst.reduce((total, call) => total + call[field], 0);
    // Codex leaves what came from the cache out of its input.
    expect(first.run.usage).toMatchObject({ inputTokens: sum('inputTokens'), outputTokens: sum('outputTokens') });
    const { items } = await plane.client.usage.totals.query({ ...someDays(), agentId, groupBy: ['model'] });
    expect(items).toMatchObject([
      {
        model: 'gpt-5.5',
        calls: calls.length,
        costMicros: calls.reduce((total, { costMicros }) => total + costMicros, 0),
      },
    ]);
  });

  test('is counted as well when it is a command in the sandbox that asks, past Codex', async () => {
    await using talk = await Talk.open(plane.client, 'unseen');
    const { agentId } = talk;
    const program = `fetch('http://127.0.0.1:7777/v1/responses', {
      method: 'POST', body: JSON.stringify({ model: 'gpt-5.5', input: 'say hi', stream: true })
    }).then((answer) => answer.text()).then((text) => console.log(text.includes('response.completed')))`;
    const { stdout } = await plane.client.processes.exec.mutate({ agentId, command: ['node', '-e', program] });
    expect(JSON.stringify(stdout)).toContain('true');
    const [call] = await until('the call', async () => {
      const { items } = await plane.client.usage.calls.query({ agentId });
      return items.length === 1 && items;
    });
    expect(call).toMatchObject({ conversationId: null, runId: null, outcome: 'answered', isEstimated: false });
    expect(call?.inputTokens).toBeGreaterThan(0);
  });

  test('reaches the service under the name that it knows, where the agent uses an alias', async () => {
    const agent = await plane.client.agents.create.mutate({ name: 'aliased', model: 'house', wait: true });
    const { id: conversationId } = await plane.client.conversations.open.mutate({ agentId: agent.id });
    const { outcome } = await plane.client.agents.sendMessage.mutate({
      agentId: agent.id,
      conversationId,
      message: 'say hi',
    });
    expect(outcome.status).toBe('ok');
    const request = plane.model.requests.find(({ userText }) => userText === 'say hi');
    expect(request?.model).toBe('gpt-5.5');
    await plane.client.agents.delete.mutate({ agentId: agent.id });
  });

  test('is refused at once for a model that its user may not use', async () => {
    const agent = await plane.client.agents.create.mutate({ name: 'refused', model: 'gpt-6-astra', wait: true });
    const { id: conversationId } = await plane.client.conversations.open.mutate({ agentId: agent.id });
    const { outcome } = await plane.client.agents.sendMessage.mutate({
      agentId: agent.id,
      conversationId,
      message: 'say no',
    });
    expect(outcome).toMatchObject({
      status: 'error',
      error: { message: expect.stringContaining('does not exist or you do not have access to it') },
    });
    expect(plane.model.requests.some(({ userText }) => userText === 'say no')).toBe(false);
    await plane.client.agents.delete.mutate({ agentId: agent.id });
  });
});
