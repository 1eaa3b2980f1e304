import { test } from 'vitest';
import { startTestControlPlane } from './support/control-plane.ts';
import { Talk } from './support/talk.ts';
test('probe', { timeout: 110_000 }, async () => {
  await using plane = await startTestControlPlane();
  await Promise.all(['http 500','reset','failed server_error','http 401','http 403','http 429','http 404','quota','cut after 3', 'failed rate_limit_exceeded', 'http 502', 'http 503', 'failed context_length_exceeded', 'failed insufficient_quota'].map(async (f, i) => {
    const talk = await Talk.open(plane.client, `p-${i}`);
    const t0 = Date.now();
    const runId = await talk.start(f);
    const r = await talk.client.runs.wait.query({ runId, timeoutMs: 100_000 });
    const n = plane.model.requests.filter((q) => q.userText === f).length;
    console.log(f, Date.now() - t0, n, JSON.stringify(r.status === 'error' ? r.error : r));
    if (f === 'http 500' || f === 'http 401' || f === 'http 429') console.log(talk.log.events.filter((e) => e.type === 'harness.other').slice(0, 8).map((e) => JSON.stringify(e.type === 'harness.other' ? e.update : 0)).join('\n'));
  }));
});
