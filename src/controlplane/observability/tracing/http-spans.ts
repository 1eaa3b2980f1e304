import type { Span } from '@opentelemetry/api';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { endSpan, type Spans } from './spans.ts';
import { readTraceParent } from './trace-parent.ts';

/** Asked every few seconds by machines. */
const untraced: ReadonlySet<string> = new Set(['/healthz', '/metrics']);
/** Of what a caller asked for: a batch can name 50 procedures. */
const mostProcedureCharacters = 200;

/** A span of each request to the API, from its head until its answer is over. */
export function traceRequests(app: FastifyInstance, spans: Spans): void {
  const begun = new WeakMap<FastifyRequest, Span>();
  app.addHook('onRequest', (request, reply, done) => {
    const { method, params, headers, routeOptions } = request;
    const route = routeOptions.url ?? 'none';
    if (!untraced.has(route)) {
      const span = spans.begin(`${method} ${route}`, {
        kind: 'server',
        parent: readTraceParent(headers['traceparent']),
        attributes: {
          'http.request.method': method,
          'http.route': route,
          'caisson.request_id': request.id,
          ...procedureOf(route, params),
        },
      });
      begun.set(request, span);
      reply.raw.once('close', () => {
        const { statusCode: status, writableFinished } = reply.raw;
        span.setAttribute('http.response.status_code', status);
        endSpan(span, status >= 500 ? String(status) : writableFinished ? null : 'caller_left');
      });
    }
    done();
  });
  // The body has been read by then: what reads it calls back in a context of its own.
  app.addHook('preHandler', (request, _reply, done) => {
    const span = begun.get(request);
    if (span === undefined) done();
    else spans.within(span, done);
  });
}

function procedureOf(route: string, params: unknown): Record<string, string> {
  if (!route.startsWith('/trpc/') || typeof params !== 'object' || params === null || !('path' in params)) return {};
  return { 'rpc.system': 'trpc', 'rpc.method': String(params.path).slice(0, mostProcedureCharacters) };
}
