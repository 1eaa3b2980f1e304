import type { TRPCError } from '@trpc/server';
import { resolveResponse } from '@trpc/server/http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CaissonError } from '../../kernel/errors.ts';
import type { Logger } from '../../kernel/logger.ts';
import { appRouter } from '../api/app-router.ts';
import { isDefect } from '../api/error-mapping.ts';
import type { OpenCalls } from '../api/open-calls.ts';
import type { ApiServices } from '../api/services.ts';
import { sendSubscription } from '../api/sse/send-subscription.ts';
import { ApiContext } from '../api/api-context.ts';
import { hijack } from './hijack.ts';
import { sendRefusal } from './refusals.ts';
import { sendWhenKnown } from './send-when-known.ts';

/** The parameters of the route's pattern. */
export interface TrpcRoute {
  Params: { path: string };
}

type TrpcRequest = FastifyRequest<TrpcRoute>;

interface TrpcRouteOptions {
  readonly services: ApiServices;
  /** Those under way; subscriptions count themselves. */
  readonly calls: OpenCalls;
  readonly logger: Logger;
  readonly stallMs: number;
  /** A call that takes longer gives signs of life. */
  readonly pulseMs: number;
}

/** Calls in one batch. */
const maxBatchSize = 50;

/** Served by our own stream of events; a test holds this list against the router. */
export const subscriptionPaths: ReadonlySet<string> = new Set([
  'events.subscribe',
  'files.search',
  'files.watch',
  'processes.logs',
]);

/** Serves `/trpc/:path`: subscriptions by our own stream of events, all else by tRPC. */
export function trpcRoute({ services, calls, logger, stallMs, pulseMs }: TrpcRouteOptions) {
  const authenticate = (request: TrpcRequest) => services.keys.authenticate(request.headers.authorization);
  return async (request: TrpcRequest, reply: FastifyReply): Promise<void> => {
    const { path } = request.params;
    const onError = ({ error, path = '' }: { readonly error: TRPCError; readonly path?: string | undefined }): void => {
      const fields = { requestId: request.id, path, err: error.cause ?? error };
      if (isDefect(error)) logger.error(fields, 'a procedure failed');
      else logger.debug({ ...fields, err: undefined, code: error.code, reason: error.message }, 'a call was refused');
    };
    void reply.header('cache-control', 'no-store');
    const query = new URL(request.url, 'http://caisson').searchParams;
    if (subscriptionPaths.has(path) && query.get('batch') !== '1') {
      if (request.method !== 'GET') {
        const error = new CaissonError('BAD_REQUEST', `${path} is a subscription: it is opened with GET.`);
        await sendRefusal(reply.header('allow', 'GET'), { status: 405, error });
        return;
      }
      const response = hijack(reply);
      const context = new ApiContext(request.id, services, () => authenticate(request));
      await sendSubscription({
        router: appRouter,
        path,
        readInput: () => subscriptionInput(request, query),
        context,
        response,
        stallMs,
        onError: (error) => onError({ error, path }),
        onStall: () => {
          const agentId = agentOf(subscriptionInput(request, query));
          logger.info({ requestId: request.id, path, agentId }, 'a subscriber that took nothing was disconnected');
        },
      });
      return;
    }
    const size = query.get('batch') === '1' ? Math.min(path.split(',').length, maxBatchSize) : 1;
    const over = new AbortController();
    reply.raw.once('close', () => over.abort(new CaissonError('ABORTED', 'The caller has left.')));
    using call = new DisposableStack();
    const context = new ApiContext(request.id, services, async () => {
      const principal = await authenticate(request);
      for (let each = 0; each < size; each++) {
        const { signal } = call.use(calls.enter(principal.keyId, over.signal));
        signal.addEventListener('abort', () => over.abort(signal.reason));
      }
      return principal;
    });
    const answer = resolveResponse({
      router: appRouter,
      createContext: async () => context,
      req: webRequest(request, over.signal),
      path,
      error: null,
      maxBatchSize,
      onError,
    });
    await sendWhenKnown(reply, answer, pulseMs);
  };
}

/** What tRPC reads: its signal aborts when the caller leaves before it has its answer, or its key is revoked. */
function webRequest(request: TrpcRequest, signal: AbortSignal): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    for (const each of [value ?? []].flat()) headers.append(name, each);
  }
  const { method, url, body } = request;
  const hasBody = typeof body === 'string' && method !== 'GET' && method !== 'HEAD';
  return new Request(new URL(url, 'http://caisson'), {
    method,
    headers,
    body: hasBody ? body : null,
    signal,
  });
}

/** As tRPC reads it: JSON in `input`, with the last id that a reconnecting client received. */
function subscriptionInput(request: TrpcRequest, query: URLSearchParams): unknown {
  const text = query.get('input');
  let input: unknown;
  try {
    input = text === null || text === '' ? {} : JSON.parse(text);
  } catch (cause) {
    throw new CaissonError('BAD_REQUEST', 'The input is not valid JSON.', { cause });
  }
  const header = request.headers['last-event-id'];
  const lastEventId = typeof header === 'string' ? header : query.get('lastEventId');
  if (lastEventId === null || lastEventId === '' || typeof input !== 'object' || input === null) return input;
  return { ...input, lastEventId };
}

/** Of input that a procedure has accepted. */
function agentOf(input: unknown): unknown {
  return typeof input === 'object' && input !== null && 'agentId' in input ? input.agentId : undefined;
}
