import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import { until } from '../until.ts';

const valueSchema = z.strictObject({
  stringValue: z.string().optional(),
  // 64-bit numbers are text in the protocol's JSON; small ones may come as numbers.
  intValue: z.union([z.string(), z.int()]).optional(),
  doubleValue: z.number().optional(),
  boolValue: z.boolean().optional(),
});
const attributesSchema = z
  .array(z.strictObject({ key: z.string(), value: valueSchema }))
  .transform((list) => Object.fromEntries(list.map(({ key, value }) => [key, plain(value)])));
const spanSchema = z.object({
  traceId: z.string().regex(/^[0-9a-f]{32}$/),
  spanId: z.string().regex(/^[0-9a-f]{16}$/),
  parentSpanId: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .optional(),
  name: z.string(),
  kind: z.int(),
  startTimeUnixNano: z.string().regex(/^\d+$/),
  endTimeUnixNano: z.string().regex(/^\d+$/),
  attributes: attributesSchema,
  events: z.array(z.object({ name: z.string(), attributes: attributesSchema })).default([]),
  status: z.object({ code: z.int().optional(), message: z.string().optional() }),
});
const requestSchema = z.strictObject({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes: attributesSchema }),
      scopeSpans: z.array(z.object({ scope: z.object({ name: z.string() }), spans: z.array(spanSchema) })),
    }),
  ),
});

export type ReceivedSpan = z.output<typeof spanSchema> & { readonly resource: Readonly<Record<string, unknown>> };

/** A DOUBLE of a collector: takes traces by OTLP over HTTP in JSON, and refuses what is not. */
export interface OtlpReceiver extends AsyncDisposable {
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  /** All that came, as text. */
  readonly bodies: readonly string[];
  readonly headers: readonly IncomingHttpHeaders[];
  /** Answers the next deliveries so. Default 200. */
  status: number;
  /** The first span that matches, now or later. */
  waitFor(what: string, matches: (span: ReceivedSpan) => boolean): Promise<ReceivedSpan>;
}

export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const [spans, bodies, headers]: [ReceivedSpan[], string[], IncomingHttpHeaders[]] = [[], [], []];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.once('end', () => {
      const text = Buffer.concat(chunks).toString();
      headers.push(request.headers);
      bodies.push(text);
      const isRight = request.url === '/v1/traces' && request.headers['content-type'] === 'application/json';
      const parsed = requestSchema.safeParse(JSON.parse(text));
      if (!isRight || !parsed.success) {
        response.writeHead(400).end(JSON.stringify({ message: parsed.error?.message ?? 'not OTLP in JSON' }));
        return;
      }
      if (receiver.status === 200) {
        for (const { resource, scopeSpans } of parsed.data.resourceSpans) {
          for (const scope of scopeSpans) {
            spans.push(...scope.spans.map((span) => ({ ...span, resource: resource.attributes })));
          }
        }
      }
      response.writeHead(receiver.status, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const receiver: OtlpReceiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    bodies,
    headers,
    status: 200,
    waitFor: async (what, matches) => await until(what, () => spans.find(matches)),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}

function plain(value: z.output<typeof valueSchema>): string | number | boolean | undefined {
  if (value.intValue !== undefined) return Number(value.intValue);
  return value.stringValue ?? value.doubleValue ?? value.boolValue;
}
