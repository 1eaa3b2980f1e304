import { afterEach, beforeEach, expect, test } from 'vitest';
import { type AgentId, type ConversationId, newAgentId, type RunId } from '../../../src/kernel/ids.ts';
import { until } from '../../until.ts';
import { type RunningServer, startServer } from '../running-server.ts';

let server: RunningServer;
beforeEach(async () => (server = await startServer()));
afterEach(() => server[Symbol.asyncDispose]());

const read = (secret: string | null): Promise<Response> =>
  fetch(`${server.url}/metrics`, { headers: secret === null ? {} : { authorization: `Bearer ${secret}` } });

async function metrics(): Promise<string> {
  const answer = await read(server.admin.secret);
  expect(answer.status).toBe(200);
  return await answer.text();
}

test('the metrics are for administrators', async () => {
  expect((await read(null)).status).toBe(401);
  expect((await read('csk_wrong')).status).toBe(401);
  expect((await read(server.alice.secret)).status).toBe(403);
  const answer = await read(server.admin.secret);
  expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=/);
  expect(await answer.text()).toContain('process_resident_memory_bytes');
});

test('calls are counted by procedure and outcome, and no label is what a caller chose', async () => {
  await server.query(server.alice, 'agents.list', {});
  await server.query(server.alice, 'agents.get', { agentId: 'agt-01m7ywv67afkzf0wc0b9dh1awz' });
  await server.query(server.alice, 'agents.invented', {});
  await fetch(`${server.url}/nowhere/secret-path?key=1`);
  const text = await metrics();
  expect(text).toContain('caisson_call_duration_seconds_count{procedure="agents.list",outcome="ok"} 1');
  expect(text).toContain('caisson_call_duration_seconds_count{procedure="agents.get",outcome="AGENT_NOT_FOUND"} 1');
  expect(text).toContain('caisson_http_requests_total{route="none",method="GET",status="404"} 1');
  expect(text).not.toMatch(/invented|secret-path/);
});

test('runs are counted as they end, and those under way as they are', async () => {
  const { data } = await server.mutate(server.alice, 'agents.create', { name: 'counted' });
  const agentId = (data as { id: AgentId }).id;
  const conversation = await server.mutate(server.alice, 'conversations.open', { agentId });
  const conversationId = (conversation.data as { id: ConversationId }).id;
  const started = await server.mutate(server.alice, 'runs.start', { conversationId, message: 'hold' });
  const runId = (started.data as { runId: RunId }).runId;
  const guest = await until('the turn', () => {
    const sandbox = server.sandboxes.currentGuest(agentId);
    return sandbox?.turns.has(runId) === true && sandbox;
  });
  await guest.say({ type: 'turn.started', runId, conversationId });
  expect(await metrics()).toContain('caisson_active_runs{state="running"} 1');
  const [, age] = /^caisson_oldest_run_seconds\{state="running"\} (\S+)$/m.exec(await metrics()) ?? [];
  expect(Number(age)).toBeGreaterThan(0);
  expect(await metrics()).toContain('caisson_running_sandboxes 1');
  const outcome = { state: 'completed', reason: 'end_turn', usage: null } as const;
  await guest.say({ type: 'turn.ended', runId, conversationId, outcome });
  await until('the count', async () =>
    /caisson_runs_total\{state="completed",reason="end_turn"\} 1/.test(await metrics()),
  );
  expect(await metrics()).not.toContain('caisson_active_runs{');
  expect(await metrics()).toContain('caisson_run_duration_seconds_count 1');
});

test('model calls and connections of sandboxes are counted by how they ended, and by nothing that they name', async () => {
  const call = {
    outcome: 'answered',
    api: 'responses',
    status: 429,
    caller: null,
    upstream: 'main',
    model: 'a-model',
    priceVersion: null,
    answeredBy: null,
    charge: null,
    requestBytes: 1,
    responseBytes: 1,
    firstByteMs: 300,
    overheadMs: 2,
    ms: 1,
  } as const;
  for (let n = 0; n < 2; n++) server.metrics.modelCall({ ...call, model: `model-${n}` });
  server.metrics.modelCall({ ...call, outcome: 'request_refused', upstream: null, status: null });
  server.metrics.modelCall({
    ...call,
    outcome: 'upstream_unreachable',
    status: null,
    firstByteMs: null,
    overheadMs: null,
  });
  const connection = {
    agentId: newAgentId(),
    port: 443,
    decision: 'deny',
    rule: null,
    outcome: 'denied',
    reason: null,
    secretId: null,
    sentBytes: 0,
    receivedBytes: 0,
    startedAt: 1,
    durationMs: 1,
  } as const;
  for (let n = 0; n < 3; n++) server.metrics.connection({ ...connection, host: `host-${n}.example` });
  const text = await metrics();
  expect(text).toContain('caisson_model_calls_total{upstream="main",outcome="answered",status="429"} 2');
  expect(text).toContain('caisson_model_calls_total{upstream="",outcome="request_refused",status=""} 1');
  expect(text).toContain('caisson_model_first_byte_seconds_bucket{le="0.25",upstream="main"} 0');
  expect(text).toContain('caisson_model_first_byte_seconds_count{upstream="main"} 2');
  expect(text).toContain('caisson_model_overhead_seconds_bucket{le="0.001",upstream="main"} 0');
  expect(text).toContain('caisson_model_overhead_seconds_bucket{le="0.0025",upstream="main"} 2');
  expect(text).toContain('caisson_egress_connections_total{outcome="denied"} 3');
  expect(text).not.toMatch(/model-0|host-0|agt-/);
});

test('the breaker of each model service and the health of the audit can be read', async () => {
  const text = await metrics();
  for (const [upstream, state] of [
    ['main', 0],
    ['third', 1],
    ['other', 2],
  ] as const)
    expect(text).toContain(`caisson_model_breaker_state{upstream="${upstream}"} ${state}`);
  expect(text).toContain('caisson_audit_up 1');
  expect(text).toMatch(/caisson_audit_waiting \d+/);
});

test('log lines that were dropped are counted once, however often it is asked', async () => {
  await metrics();
  expect(await metrics()).toContain('caisson_log_lines_dropped_total 7');
});

test('wires that broke and flushes of the store are counted', async () => {
  server.metrics.wireBroke('WIRE_LOST');
  server.metrics.flush(300);
  const text = await metrics();
  expect(text).toContain('caisson_wire_breaks_total{code="WIRE_LOST"} 1');
  expect(text).toContain('caisson_store_flush_seconds_bucket{le="0.25"} 0');
  expect(text).toContain('caisson_store_flush_seconds_bucket{le="0.5"} 1');
});
