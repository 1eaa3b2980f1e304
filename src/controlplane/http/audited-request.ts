import type { IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { CaissonError } from '../../kernel/errors.ts';
import { auditCall, audited, isLetIn, recognised, type Recorder } from '../audit/audited.ts';
import type { Identify } from './admit.ts';
import { needOfRoute } from './route-needs.ts';

interface AuditedRequestOptions {
  readonly recorder: Recorder;
  readonly identify: Identify;
  readonly addressOf: (request: IncomingMessage) => string;
}

interface AuditedRequest {
  readonly input: object;
  /** Whether it has a record although it changes nothing. Default: it has where it is no GET or HEAD. */
  readonly isAlwaysRecorded?: boolean;
}

/** Serves a request beside tRPC, and records it: one that changes something always, another where it is refused. */
export async function auditedRequest<T>(
  { recorder, identify, addressOf }: AuditedRequestOptions,
  request: FastifyRequest,
  { input, isAlwaysRecorded = request.method !== 'GET' && request.method !== 'HEAD' }: AuditedRequest,
  work: (onSandbox: () => void) => Promise<T>,
): Promise<T> {
  const { method, routeOptions, raw, id: requestId } = request;
  const need = needOfRoute(method, routeOptions.url);
  if (need === undefined) throw new CaissonError('INTERNAL', 'This route does not say what it needs.');
  const principal = await recognised(identify(raw));
  const action = `${method} ${routeOptions.url}`;
  const call = auditCall({ action, principal, address: addressOf(raw), requestId, input });
  return await audited(
    recorder,
    call,
    { isChange: isAlwaysRecorded && isLetIn(principal, need), isStored: false },
    work,
  );
}
