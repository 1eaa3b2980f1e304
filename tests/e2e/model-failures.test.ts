import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startScriptedModel } from '../doubles/scripted-model.ts';
import { startTestControlPlane, type TestControlPlane } from './support/control-plane.ts';
import { type EndedRun, Talk } from './support/talk.ts';

let plane: TestControlPlane;
beforeAll(async () => {
  plane = await startTestControlPlane();
});
afterAll(() => plane[Symbol.asyncDispose]());

/**
 * What the model does to every try of a turn, and how the run must then end. Of a 500, a 429 and a spent quota Codex tells
 * its own words instead of the service's. Those that it tries again for long come first: they run side by side.
 */
const failures = [
  { fault: 'http 500', reason: 'model_error', words: /high demand/ },
  { fault: 'cut after 3', reason: 'model_error', words: /^stream disconnected/ },
  { fault: 'failed server_error', reason: 'model_error', words: /Scripted failure server_error\.$/ },
  { fault: 'http 401', reason: 'model_unauthorized', words: /refused the credentials/ },
  { fault: 'http 403', reason: 'model_error', words: /This project may not use the model\.$/ },
  { fault: 'http 429', reason: 'model_error', words: /429 Too Many Requests/ },
  { fault: 'http 400', reason: 'model_error', words: /^The request is wrong\.$/ },
  { fault: 'http 404', reason: 'model_error', words: /^The model does not exist\.$/ },
  { fault: 'quota', reason: 'model_quota_exhausted', words: /Quota exceeded/ },
];

const discarded = ({ events }: EndedRun): readonly string[] =>
  events.flatMap((event) => (event.type === 'message.discarded' ? [event.reason] : []));

async function expectNextAnswered(talk: Talk): Promise<void> {
  expect((await talk.say('say next')).said).toEqual(['next']);
}

describe.concurrent('a model service that fails', { timeout: 120_000 }, () => {
  test('and that cannot be reached fails the run; once it is back, the next message works', async () => {
    await using lonely = await startTestControlPlane();
    await using talk = await Talk.open(lonely.client, 'unreachable');
    const { port } = new URL(lonely.model.baseUrl);
    await lonely.model.close();
    const { run, said } = await talk.say('say nothing');
    expect(run).toMatchObject({
      state: 'failed',
      reason: 'model_error',
      message: expect.stringMatching(/The model service cannot be reached \(ECONNREFUSED\)\.$/),
    });
    expect(said).toEqual([]);
    await using _back = await startScriptedModel({ port: Number(port) });
    await expectNextAnswered(talk);
  });

  test.for(failures)(
    'by `$fault` fails the run with $reason, and the next message works',
    async ({ fault, reason, words }) => {
      await using talk = await Talk.open(plane.client, fault.replaceAll(/[ _]/g, '-'));
      const { run, said } = await talk.say(fault);
      expect(run).toMatchObject({ state: 'failed', reason, message: expect.stringMatching(words) });
      expect(said).toEqual([]);
      await expectNextAnswered(talk);
    },
  );

  test('and recovers in time is not seen in the answer: a stream that was cut is taken back', async () => {
    await using talk = await Talk.open(plane.client, 'recovered');
    const cut = await talk.say('cut after 5 once');
    expect(cut.run).toMatchObject({ state: 'completed', reason: 'end_turn' });
    expect(cut.said).toEqual(['recovered']);
    expect(discarded(cut)).toEqual(['model_retry']);
    const refused = await talk.say('http 500 2 times');
    expect(refused.run.state).toBe('completed');
    expect(refused.said).toEqual(['recovered']);
    expect(discarded(refused)).toEqual([]);
  });
});
