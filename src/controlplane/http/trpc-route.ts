import type { TRPCError } from '@trpc/server';
import { fastifyRequestHandler } from '@trpc/server/adapters/fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CaissonError } from '../../kernel/errors.ts';
import type { Logger } from '../../kernel/logger.ts';
import { appRouter } from '../api/app-router.ts';
import { isDefect } from '../api/error-mapping.ts';
import type { ApiServices } from '../api/services.ts';
import { sendSubscription } from '../api/sse/send-subscription.ts';
import type { ApiContext } from '../api/trpc.ts';
import type { Principal } from '../auth/identity.ts';
import { sendRefusal } from './refusals.ts';

/** The parameters of the route's pattern. */
export interface TrpcRoute {
  Params: { path: string };
}

type TrpcRequest = FastifyRequest<TrpcRoute>;

interface TrpcRouteOptions {
  readonly services: ApiServices;
  readonly logger: Logger;
  readonly stallMs: number;
}

/** Calls in one batch. */
const maxBatchSize = 50;

/** Served by our own stream of events; a test holds this list against the router. */
export const subscriptionPaths: ReadonlySet<string> = new Set(['events.subscribe']);

/** Serves `/trpc/:path`: subscriptions by our own stream of events, all else by tRPC's adapter. */
export function trpcRoute({ services, logger, stallMs }: TrpcRouteOptions) {
  return async (request: TrpcRequest, reply: FastifyReply): Promise<void> => {
    const { path } = request.params;
    const context = contextOf(request, services);
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
      for (const [name, value] of Object.entries(reply.getHeaders())) reply.raw.setHeader(name, value ?? '');
      reply.hijack();
      await sendSubscription({
        router: appRouter,
        path,
        readInput: () => subscriptionInput(request, query),
        context,
        response: reply.raw,
        stallMs,
        onError: (error) => onError({ error, path }),
        onStall: () => logger.info({ requestId: request.id, path }, 'a subscriber that took nothing was disconnected'),
      });
      return;
    }
    await fastifyRequestHandler({
      router: appRouter,
      createContext: () => context,
      req: request,
      res: reply,
      path,
      maxBatchSize,
      onError,
    });
  };
}

function contextOf(request: TrpcRequest, services: ApiServices): ApiContext {
  let principal: Promise<Principal> | undefined;
  return {
    services,
    requestId: request.id,
    authenticate: () => (principal ??= services.keys.authenticate(request.headers.authorization)),
  };
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
