import type { TRPCError } from '@trpc/server';
import { resolveResponse } from '@trpc/server/http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { CaissonError } from '../../kernel/errors.ts';
import type { Logger } from '../../kernel/logger.ts';
import { appRouter } from '../api/app-router.ts';
import { refusedCall } from '../api/audited-call.ts';
import { errorBodyOf, isDefect, toTrpcError } from '../api/error-mapping.ts';
import { readerPatience, ReaderStalled } from '../api/sse/reader-room.ts';
import { sendSubscription } from '../api/sse/send-subscription.ts';
import { bodyText } from './body-text.ts';
import { hasBody } from './body-time.ts';
import { hijack } from './hijack.ts';
import { demandInputShape } from './input-shape.ts';
import { answerPlainCall, plainCallOf } from './plain-call.ts';
import { refusalOf, refusalText, sendRefusal } from './refusals.ts';
import { requestQuery } from './request-query.ts';
import { type Answer, bodyOf, sendWhenKnown } from './send-when-known.ts';
import { TrpcExchange, type TrpcExchangeOptions } from './trpc-exchange.ts';

/** The parameters of the route's pattern. */
interface TrpcRoute {
  Params: { path: string };
}

type TrpcRequest = FastifyRequest<TrpcRoute>;

interface TrpcRouteOptions extends TrpcExchangeOptions {
  readonly logger: Logger;
  /** How long the reader of a subscription may take nothing, and that of an answer `readerPatience` times as long. */
  readonly stallMs: number;
  /** A call that takes longer gives signs of life. */
  readonly pulseMs: number;
}

/** Of the name under which a batch is recorded that is refused as a whole. */
const maxActionChars = 200;

/** Calls in one batch. */
const maxBatchSize = 50;

/** Served by our own stream of events; a test holds this list against the router. */
export const subscriptionPaths: ReadonlySet<string> = new Set([
  'events.subscribe',
  'files.search',
  'files.watch',
  'processes.logs',
]);

/** What needs no key; a test holds this list against the router. */
export const keylessPaths: ReadonlySet<string> = new Set(['system.health', 'users.accept']);

/** What is read of a caller whom nobody knows. */
const keylessBodyBytes = 4_096;

/**
 * Serves `/trpc/:path`: subscriptions by our own stream of events, all else by tRPC. A body is read only of a caller who is known
 * and has a place, but for a small one of a call that needs no key; a call keeps its place until its answer is taken.
 */
export function serveTrpc(app: FastifyInstance, options: TrpcRouteOptions): void {
  void app.register(async (scope) => {
    scope.addContentTypeParser('application/json', async ({ raw, routeOptions }: FastifyRequest) =>
      bodyText(raw, routeOptions.bodyLimit ?? 0),
    );
    const begun = new WeakMap<FastifyRequest, Begun>();
    const onRequest = async (request: TrpcRequest, reply: FastifyReply): Promise<void> => {
      const each = begin(request, reply, options);
      begun.set(request, each);
      if (!hasBody(request.raw) || isSmallAndKeyless(request)) return;
      await each.exchange.admitBody().catch(async (thrown: unknown) => {
        const failed = { path: request.params.path.slice(0, maxActionChars), error: toTrpcError(thrown) };
        await refusedCall(each.exchange.context, { ...failed, isChange: true, readInput: () => undefined });
        throw thrown;
      });
    };
    scope.all<TrpcRoute>('/trpc/:path', { onRequest }, async (request, reply) => {
      await serve(request, reply, begun.get(request) ?? begin(request, reply, options), options);
    });
  });
}

function isSmallAndKeyless({ params, headers }: TrpcRequest): boolean {
  const isSmall = Number(headers['content-length'] ?? Infinity) <= keylessBodyBytes;
  return keylessPaths.has(params.path) && isSmall && headers['transfer-encoding'] === undefined;
}

/** What is known of a request before its body. */
interface Begun {
  readonly exchange: TrpcExchange;
  readonly query: URLSearchParams;
  readonly isSubscription: boolean;
}

function begin(request: TrpcRequest, reply: FastifyReply, options: TrpcRouteOptions): Begun {
  const { path } = request.params;
  const query = requestQuery(request.url);
  const isBatch = query.get('batch') === '1';
  const isSubscription = !isBatch && subscriptionPaths.has(path);
  const calls = isBatch ? Math.min(path.split(',').length, maxBatchSize) : 1;
  const exchange = new TrpcExchange(request, reply, isSubscription ? 0 : calls, options);
  return { exchange, query, isSubscription };
}

async function serve(
  request: TrpcRequest,
  reply: FastifyReply,
  { exchange, query, isSubscription }: Begun,
  { logger, stallMs, pulseMs }: TrpcRouteOptions,
): Promise<void> {
  const { path } = request.params;
  const { context } = exchange;
  const onError = ({ error, path = '' }: { readonly error: TRPCError; readonly path?: string | undefined }): void => {
    const fields = { requestId: request.id, path, err: error.cause ?? error };
    if (isDefect(error)) logger.error(fields, 'a procedure failed');
    else
      logger.debug(
        { ...fields, err: undefined, code: error.code, reason: errorBodyOf(error).message },
        'a call was refused',
      );
  };
  const noteRefusal = async (error: TRPCError, readInput: () => unknown): Promise<void> => {
    try {
      await refusedCall(context, { path, error, isChange: false, readInput });
    } catch (err) {
      logger.error({ requestId: request.id, path, err }, 'a refusal could not be recorded');
    }
  };
  void reply.header('cache-control', 'no-store');
  if (isSubscription) {
    if (request.method !== 'GET') {
      const error = new CaissonError('BAD_REQUEST', `${path} is a subscription: it is opened with GET.`);
      await sendRefusal(reply.header('allow', 'GET'), { status: 405, error });
      return;
    }
    const response = hijack(reply);
    await sendSubscription({
      router: appRouter,
      path,
      readInput: () => subscriptionInput(request, query),
      context,
      response,
      stallMs,
      onError: (error) => {
        onError({ error, path });
        void noteRefusal(error, () => subscriptionInput(request, query));
      },
      onStall: () => {
        const agentId = agentOf(subscriptionInput(request, query));
        logger.info({ requestId: request.id, path, agentId }, 'a subscriber that took nothing was disconnected');
      },
    });
    return;
  }
  if (typeof request.body === 'string') exchange.holdBody(Buffer.byteLength(request.body));
  const coming = async (): Promise<Answer> => {
    try {
      const answer = await answerOf(request, { exchange, query, onError });
      exchange.holdAnswer(Buffer.byteLength(answer.body));
      return answer;
    } catch (thrown) {
      if (!(thrown instanceof CaissonError)) throw thrown;
      const refusal = refusalOf(thrown);
      return { status: refusal.status, headers: [['content-type', 'application/json']], body: refusalText(refusal) };
    }
  };
  try {
    await sendWhenKnown(reply, coming(), { pulseMs, stallMs: stallMs * readerPatience });
  } catch (thrown) {
    if (!(thrown instanceof ReaderStalled)) throw thrown;
    logger.info({ requestId: request.id, path }, 'a caller who did not take the answer was disconnected');
  }
}

interface Asked extends Pick<Begun, 'exchange' | 'query'> {
  readonly onError: (failed: { readonly error: TRPCError; readonly path?: string | undefined }) => void;
}

async function answerOf(request: TrpcRequest, { exchange, query, onError }: Asked): Promise<Answer> {
  const { path } = request.params;
  const { context, signal } = exchange;
  const plain = plainCallOf(request, { path, query }, appRouter);
  if (plain !== undefined) return await answerPlainCall(plain, { router: appRouter, context, signal, onError });
  if (typeof request.body === 'string') demandInputShape(request.body);
  const response = await resolveResponse({
    router: appRouter,
    createContext: async () => context,
    req: webRequest(request, signal),
    path,
    error: null,
    maxBatchSize,
    onError,
  });
  return { status: response.status, headers: response.headers, body: bodyOf(await response.text()) };
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
