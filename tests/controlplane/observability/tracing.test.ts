import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import fastify from 'fastify';
import { expect, test } from 'vitest';
import { HarmlessExporter } from '../../../src/controlplane/observability/tracing/harmless-exporter.ts';
import { openTracing } from '../../../src/controlplane/observability/tracing/open-tracing.ts';
import { readTraceParent } from '../../../src/controlplane/observability/tracing/trace-parent.ts';
import type { EgressRecord } from '../../../src/controlplane/egress/ports.ts';
import { newAgentId } from '../../../src/kernel/ids.ts';
import { startOtlpReceiver } from '../../doubles/otlp-receiver.ts';
import { closedAddress } from '../../cli/closed-address.ts';
import { type LoggedLine, recordingLogger } from '../recording-logger.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';

const open = (url: string, { share = 1, log = [] }: { share?: number; log?: LoggedLine[] } = {}) =>
  openTracing({
    url: `${url}/v1/traces`,
    headers: {},
    share,
    version: 'test',
    instance: 'here',
    logger: recordingLogger(log),
  });

const connection: EgressRecord = {
  agentId: newAgentId(),
  host: 'example.com',
  port: 443,
  decision: 'allow',
  rule: 'example.com',
  outcome: 'closed',
  reason: null,
  secretId: null,
  sentBytes: 1,
  receivedBytes: 2,
  startedAt: Date.now() - 50,
  durationMs: 50,
};

test.each([
  ['a parent', `00-${traceId}-${spanId}-01`, { traceId, spanId, traceFlags: 1, isRemote: true }],
  ['one that is not sampled', `00-${traceId}-${spanId}-00`, { traceFlags: 0 }],
  ['flags that are not known', `00-${traceId}-${spanId}-ff`, { traceFlags: 1 }],
  ['a later version, with more fields', `cc-${traceId}-${spanId}-01-what-comes`, { traceId }],
  ['no header', undefined, null],
  ['more fields than its version has', `00-${traceId}-${spanId}-01-more`, null],
  ['the version that is none', `ff-${traceId}-${spanId}-01`, null],
  ['a trace of zeros', `00-${'0'.repeat(32)}-${spanId}-01`, null],
  ['a span of zeros', `00-${traceId}-${'0'.repeat(16)}-01`, null],
  ['capitals', `00-${traceId.toUpperCase()}-${spanId}-01`, null],
  ['two headers in one', `00-${traceId}-${spanId}-01, 00-${traceId}-${spanId}-01`, null],
  ['something long', `cc-${traceId}-${spanId}-01-${'x'.repeat(10_000)}`, null],
])('a traceparent: %s', (_, header, expected) => {
  if (expected === null) expect(readTraceParent(header)).toBe(null);
  else expect(readTraceParent(header)).toMatchObject(expected);
});

test('what is told before the end is delivered at the end', async () => {
  await using receiver = await startOtlpReceiver();
  const tracing = open(receiver.url);
  tracing.connection(connection);
  await tracing[Symbol.asyncDispose]();
  expect(receiver.spans).toMatchObject([
    {
      name: 'egress.connection',
      attributes: { 'server.address': 'example.com', 'caisson.egress.received_bytes': 2 },
      startTimeUnixNano: expect.stringContaining(String(connection.startedAt)),
      resource: { 'service.name': 'caisson', 'service.instance.id': 'here' },
    },
  ]);
});

test('no more than 2,048 spans wait, and 512 are under way; what else comes is dropped', async () => {
  await using receiver = await startOtlpReceiver();
  const tracing = open(receiver.url);
  for (let each = 0; each < 5_000; each++) tracing.connection(connection);
  await tracing[Symbol.asyncDispose]();
  expect(receiver.spans.length).toBeGreaterThan(0);
  expect(receiver.spans.length).toBeLessThanOrEqual(2_048 + 512);
});

test('a collector that is not there does no harm, and the end does not wait for it', async () => {
  const tracing = open(await closedAddress());
  for (let each = 0; each < 5_000; each++) tracing.connection(connection);
  expect(await tracing[Symbol.asyncDispose]()).toBeUndefined();
});

test('a collector that refuses is told of once, and once when it works again', () => {
  const log: LoggedLine[] = [];
  let error: Error | undefined = new Error('refused');
  const exporter = new HarmlessExporter(
    {
      export: (_, done) => done(error === undefined ? { code: 0 } : { code: 1, error }),
      shutdown: async () => undefined,
    },
    recordingLogger(log),
  );
  const results: number[] = [];
  const deliver = (): void => exporter.export([], ({ code }) => results.push(code));
  deliver();
  deliver();
  error = undefined;
  deliver();
  deliver();
  expect(results).toEqual([0, 0, 0, 0]);
  expect(log.map(({ message }) => message)).toEqual(['spans cannot be delivered', 'spans are delivered again']);
});

test('of calls without a trace only a share is traced; one with a trace goes by what its caller says', async () => {
  await using receiver = await startOtlpReceiver();
  const tracing = open(receiver.url, { share: 0 });
  const app = fastify();
  tracing.serve(app);
  app.get('/things/:id', async () => 'here');
  app.get('/healthz', async () => 'ok');
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  const ask = async (path: string, traceparent?: string): Promise<void> => {
    const answer = await fetch(`${url}${path}`, { headers: traceparent === undefined ? {} : { traceparent } });
    await answer.text();
  };
  await ask('/things/1');
  await ask('/things/2', `00-${traceId}-${spanId}-00`);
  await ask('/things/3', `00-${traceId}-${spanId}-01`);
  await ask('/healthz', `00-${traceId}-${spanId}-01`);
  await app.close();
  await tracing[Symbol.asyncDispose]();
  expect(receiver.spans).toMatchObject([
    { name: 'GET /things/:id', traceId, parentSpanId: spanId, attributes: { 'http.response.status_code': 200 } },
  ]);
});

test('nothing of it is loaded where it is not turned on', async () => {
  const program = `
    await import('./src/controlplane/index.ts');
    const { default: module } = await import('node:module');
    console.log(JSON.stringify(Object.keys(module._cache).filter((path) => path.includes('@opentelemetry'))));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
  const loaded = JSON.parse(stdout) as readonly string[];
  expect(loaded.filter((path) => !path.includes('@opentelemetry/api/'))).toEqual([]);
});
