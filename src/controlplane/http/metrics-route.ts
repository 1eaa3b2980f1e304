import type { FastifyInstance } from 'fastify';
import type { Access } from '../auth/access.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Admit } from './admit.ts';
import { routeNeeds } from './route-needs.ts';

/**
 * `GET /metrics` for Prometheus, with the API key of an administrator or an auditor as its bearer token: the numbers tell what
 * everybody does. UNAUTHORIZED, FORBIDDEN and RATE_LIMITED otherwise.
 */
export function serveMetrics(
  app: FastifyInstance,
  {
    admit,
    access,
    metrics,
  }: {
    readonly admit: Admit;
    readonly access: Pick<Access, 'permit'>;
    readonly metrics: Metrics;
  },
): void {
  app.get('/metrics', async (request, reply) => {
    const principal = await admit(request.headers.authorization);
    access.permit({ principal, need: routeNeeds['GET /metrics'] });
    const { contentType, body } = await metrics.text();
    return await reply.header('content-type', contentType).header('cache-control', 'no-store').send(body);
  });
}
