import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { Recorder } from '../audit/audited.ts';
import type { Access } from '../auth/access.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Admit, Identify } from './admit.ts';
import { auditedRequest } from './audited-request.ts';
import { routeNeeds } from './route-needs.ts';

/**
 * `GET /metrics` for Prometheus, with the API key of an administrator or an auditor as its bearer token: the numbers tell what
 * everybody does. UNAUTHORIZED, FORBIDDEN and RATE_LIMITED otherwise.
 */
export function serveMetrics(
  app: FastifyInstance,
  {
    admit,
    identify,
    access,
    metrics,
    recorder,
    addressOf,
  }: {
    readonly admit: Admit;
    readonly identify: Identify;
    readonly access: Pick<Access, 'permit'>;
    readonly metrics: Metrics;
    readonly recorder: Recorder;
    readonly addressOf: (request: IncomingMessage) => string;
  },
): void {
  app.get('/metrics', async (request, reply) => {
    await auditedRequest({ identify, recorder, addressOf }, request, { input: {} }, async () => {
      const principal = await admit(request.raw);
      access.permit({ principal, need: routeNeeds['GET /metrics'] });
    });
    const { contentType, body } = await metrics.text();
    return await reply.header('content-type', contentType).header('cache-control', 'no-store').send(body);
  });
}
