import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { CaissonError } from '../../kernel/errors.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { OpenCalls } from '../api/open-calls.ts';
import type { AuditService } from '../audit/audit-service.ts';
import type { Recorder } from '../audit/audited.ts';
import type { Access } from '../auth/access.ts';
import type { Admit, Identify } from './admit.ts';
import { auditedRequest } from './audited-request.ts';
import { routeNeeds } from './route-needs.ts';
import { sendStream } from './send-stream.ts';

interface AuditRouteOptions {
  readonly audit: Pick<AuditService, 'export'>;
  readonly recorder: Recorder;
  readonly admit: Admit;
  readonly identify: Identify;
  readonly access: Pick<Access, 'permit'>;
  /** Each request takes a place. */
  readonly transfers: OpenCalls;
  readonly addressOf: (request: IncomingMessage) => string;
  readonly stallMs: number;
  readonly logger: Logger;
}

/**
 * `GET /v1/audit/export?after=<seq>`: the audit as JSON lines, oldest first, up to the record that is the last when it begins
 * (that of the export itself): see `AuditService.export`. An answer that breaks off is cut, for all to see.
 */
export function serveAudit(app: FastifyInstance, options: AuditRouteOptions): void {
  const { audit, admit, access, transfers, stallMs, logger } = options;
  app.get('/v1/audit/export', async (request, reply) => {
    const asked = new URL(request.url, 'http://caisson').searchParams.get('after') ?? '0';
    const enter = async () => {
      const principal = await admit(request.raw);
      access.permit({ principal, need: routeNeeds['GET /v1/audit/export'] });
      if (!/^\d{1,15}$/.test(asked)) throw new CaissonError('BAD_REQUEST', '`after` is the `seq` of a record.');
      const left = new AbortController();
      const leave = (): void => left.abort(new CaissonError('ABORTED', 'The caller has left.'));
      if (reply.raw.closed) leave();
      const entered = transfers.enter(principal, left.signal);
      reply.raw.once('close', () => {
        leave();
        entered[Symbol.dispose]();
      });
      return entered;
    };
    const place = await auditedRequest(options, request, { input: {}, isAlwaysRecorded: true }, enter);
    const onCut = (bytes: number, err: unknown): void =>
      logger.warn({ requestId: request.id, bytes, err }, 'an export of the audit was cut');
    const headers = {
      'content-type': 'application/x-ndjson; charset=utf-8',
      'content-disposition': 'attachment; filename="audit.jsonl"',
      'cache-control': 'no-store',
    };
    const chunks = encoded(audit.export(Number(asked)));
    await sendStream(reply, { status: 200, headers, chunks, signal: place.signal, stallMs, onCut });
  });
}

async function* encoded(texts: AsyncIterable<string>): AsyncGenerator<Buffer, void, undefined> {
  for await (const text of texts) yield Buffer.from(text);
}
