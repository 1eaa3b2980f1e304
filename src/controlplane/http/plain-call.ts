import { type AnyTRPCProcedure, type AnyTRPCRouter, getTRPCErrorFromUnknown, TRPCError } from '@trpc/server';
import { getHTTPStatusCodeFromError } from '@trpc/server/http';
import { getErrorShape } from '@trpc/server/shared';
import type { FastifyRequest } from 'fastify';
import { CaissonError, errorText } from '../../kernel/errors.ts';
import { toTrpcError } from '../api/error-mapping.ts';
import type { RequestContext } from '../api/request-context.ts';
import { demandInputShape } from './input-shape.ts';
import { type Answer, bodyOf } from './send-when-known.ts';

/** One call of a procedure that there is, by the method that it has, with JSON. */
export interface PlainCall {
  readonly procedure: AnyTRPCProcedure;
  readonly path: string;
  readonly type: 'query' | 'mutation';
  /** JSON; empty: none. */
  readonly text: string;
}

interface Asking {
  readonly path: string;
  readonly query: URLSearchParams;
}

interface Answering {
  readonly router: AnyTRPCRouter;
  readonly context: RequestContext;
  readonly signal: AbortSignal;
  readonly onError: (failed: { readonly error: TRPCError; readonly path: string }) => void;
}

/** Of `resolveResponse`. */
const headers = Object.entries({ vary: 'trpc-accept, accept', 'content-type': 'application/json' });

/**
 * What a request asks for, where that is one plain call, as our client and most others make them. Undefined for all else, such as
 * batches and what is to be refused as a request: that is for tRPC's own `resolveResponse`.
 */
export function plainCallOf(
  { method, headers, body }: Pick<FastifyRequest, 'method' | 'headers' | 'body'>,
  { path, query }: Asking,
  router: AnyTRPCRouter,
): PlainCall | undefined {
  const procedures: Readonly<Record<string, AnyTRPCProcedure | undefined>> = router._def.procedures;
  const procedure = procedures[path];
  const type = procedure?._def.type;
  const contentType = headers['content-type'];
  const asksOtherwise = headers['trpc-accept'] !== undefined || headers.accept?.includes('jsonl') === true;
  if (procedure === undefined || asksOtherwise || query.has('batch') || query.has('connectionParams')) return undefined;
  if (type === 'query' && method === 'GET' && (contentType === undefined || contentType === 'application/json')) {
    return { procedure, path, type, text: query.get('input') ?? '' };
  }
  if (type === 'mutation' && method === 'POST' && contentType === 'application/json') {
    return { procedure, path, type, text: typeof body === 'string' ? body.replace(/^\uFEFF/, '') : '' };
  }
  return undefined;
}

/**
 * Answers a plain call as `resolveResponse` does, byte for byte, without the web's Request, Response, streams and signals around it,
 * which take longer than most calls. Never rejects.
 */
export async function answerPlainCall(
  { procedure, path, type, text }: PlainCall,
  { router, context, signal, onError }: Answering,
): Promise<Answer> {
  let input: unknown;
  const getRawInput = async (): Promise<unknown> => (input ??= parse(text));
  try {
    const data: unknown = await procedure({ path, type, ctx: context, signal, batchIndex: 0, getRawInput });
    return { status: 200, headers, body: bodyOf(JSON.stringify({ result: { data } })) };
  } catch (thrown) {
    const error = getTRPCErrorFromUnknown(thrown);
    onError({ error, path });
    const { _config: config } = router._def;
    const shape: unknown = getErrorShape({ config, error, type, path, input, ctx: context });
    return { status: getHTTPStatusCodeFromError(error), headers, body: JSON.stringify({ error: shape }) };
  }
}

function parse(text: string): unknown {
  try {
    demandInputShape(text);
    return text === '' ? undefined : JSON.parse(text);
  } catch (cause) {
    if (cause instanceof CaissonError) throw toTrpcError(cause);
    throw new TRPCError({ code: 'BAD_REQUEST', message: errorText(cause), cause });
  }
}
