import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { Logger } from '../../../kernel/logger.ts';
import { onWireCall } from '../../../wire/wire-calls.ts';
import { traceConnection } from './connection-span.ts';
import { HarmlessExporter } from './harmless-exporter.ts';
import { traceRequests } from './http-spans.ts';
import { traceModelCall } from './model-span.ts';
import { RunSpans } from './run-spans.ts';
import { Spans } from './spans.ts';
import { tracedProvider } from './traced-provider.ts';
import type { Tracing, TracingSettings } from './tracing.ts';
import { traceWireCall } from './wire-spans.ts';

/** Of one delivery. */
const deliveryTimeoutMs = 5_000;
const lastDeliveryMs = 2_000;
const mostQueued = 2_048;

interface TracingOptions extends TracingSettings {
  readonly version: string;
  /** Names this control plane among others. */
  readonly instance: string;
  readonly logger: Logger;
}

/** Turns traces on. Nothing of the process is patched, and nothing global is set. */
export function openTracing({ url, headers, share, version, instance, logger }: TracingOptions): Tracing {
  const exporter = new OTLPTraceExporter({ url, headers: { ...headers }, timeoutMillis: deliveryTimeoutMs });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': 'caisson',
      'service.version': version,
      'service.instance.id': instance,
    }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(share) }),
    spanLimits: { attributeValueLengthLimit: 512 },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: new HarmlessExporter(exporter, logger),
        maxQueueSize: mostQueued,
        exportTimeoutMillis: deliveryTimeoutMs,
      }),
    ],
  });
  const spans = new Spans(provider.getTracer('caisson', version));
  const runs = new RunSpans(spans);
  const forgetWire = onWireCall((call) => traceWireCall(call, spans));
  return {
    serve: (app) => traceRequests(app, spans),
    provider: (inner) => tracedProvider(inner, spans),
    event: (event) => runs.event(event),
    withinRun: (runId, work) => runs.within(runId, work),
    modelCall: (record) => traceModelCall(record, runs.of(record.caller?.runId), spans),
    connection: (record) => traceConnection(record, runs.onlyOneOf(record.agentId), spans),
    async [Symbol.asyncDispose]() {
      forgetWire();
      runs.close();
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, lastDeliveryMs);
      await Promise.race([provider.shutdown().catch(() => undefined), late.promise]); // told by the exporter
      clearTimeout(timer);
    },
  };
}
