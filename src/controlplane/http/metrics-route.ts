import type { FastifyInstance } from 'fastify';
import { CaissonError } from '../../kernel/errors.ts';
import type { KeyService } from '../auth/key-service.ts';
import type { Metrics } from '../observability/metrics.ts';

/**
 * `GET /metrics` for Prometheus, with the API key of an administrator as its bearer token: the numbers tell what everybody
 * does. UNAUTHORIZED and FORBIDDEN otherwise.
 */
export function serveMetrics(
  app: FastifyInstance,
  { keys, metrics }: { readonly keys: Pick<KeyService, 'authenticate'>; readonly metrics: Metrics },
): void {
  app.get('/metrics', async (request, reply) => {
    const { role } = await keys.authenticate(request.headers.authorization);
    if (role !== 'admin') {
      throw new CaissonError('FORBIDDEN', 'Only administrators may read the metrics.', {
        hint: 'Give Prometheus the API key of an administrator as its bearer token.',
      });
    }
    const { contentType, body } = await metrics.text();
    return await reply.header('content-type', contentType).header('cache-control', 'no-store').send(body);
  });
}
