import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { deadline, orAbort } from '../kernel/deadline.ts';
import { CaissonError, errorText } from '../kernel/errors.ts';
import type { Logger } from '../kernel/logger.ts';
import type { ApiServices } from './api/services.ts';
import { defaultStallMs } from './api/sse/send-subscription.ts';
import { HeldBytes } from './api/held-bytes.ts';
import { type OpenCallLimits, OpenCalls } from './api/open-calls.ts';
import type { Admit, Identify } from './http/admit.ts';
import { acceptedHosts } from './http/accepted-hosts.ts';
import { serveAudit } from './http/audit-route.ts';
import { clientAddress, networkList } from './http/client-address.ts';
import { serveFiles } from './http/file-routes.ts';
import { callerOf } from './http/caller.ts';
import { serveLogin } from './http/login-routes.ts';
import { boundBodyTime } from './http/body-time.ts';
import { createHttpServer } from './http/http-server.ts';
import { landingPage } from './http/landing-page.ts';
import { OpenConnections } from './http/open-connections.ts';
import { portSocketRoute } from './http/port-socket.ts';
import { refusalOf, sendRefusal, writeRawRefusal } from './http/refusals.ts';
import { createPreviewGateway } from './previews/preview-gateway.ts';
import type { Metrics, ObservedCall } from './observability/metrics.ts';
import type { Tracing } from './observability/tracing/tracing.ts';
import { serveMetrics } from './http/metrics-route.ts';
import { serveTrpc } from './http/trpc-route.ts';
import { serveWebSockets, type WebSocketRoute } from './http/web-sockets.ts';
import { processSocketRoute } from './workspace/process-socket.ts';
import { terminalSocketRoute } from './workspace/terminal-socket.ts';

export interface ServerOptions {
  readonly settings: {
    readonly host: string;
    /** 0 takes a free one. */
    readonly port: number;
    readonly allowedHosts: readonly string[];
    readonly maxBodyBytes: number;
    readonly trustedProxies: readonly string[];
  };
  readonly services: Omit<ApiServices, 'subscriptions' | 'draining' | 'observeCall' | 'openCalls'>;
  readonly metrics: Metrics;
  /** Rejects when requests cannot be served, e.g. because the store does not answer. */
  readonly checkHealth: () => Promise<void>;
  /** Requests that come before it resolves wait for it. Default: none waits. */
  readonly ready?: Promise<void>;
  readonly logger: Logger;
  /** Default: none. */
  readonly tracing?: Pick<Tracing, 'serve'> | undefined;
  /** Default: 64 of a key, 1,024 in all. */
  readonly subscriptionLimits?: OpenCallLimits;
  /** Queries and mutations under way, each call of a batch. Default: 1,024 of a key, 4,096 in all. */
  readonly callLimits?: OpenCallLimits;
  /** Bytes of calls: bodies that come in, and answers that are not taken. Default: 96 MiB of a key, 256 MiB in all. */
  readonly byteLimits?: OpenCallLimits;
  /** Uploads and downloads under way. Default: 32 of a key, 128 in all. */
  readonly transferLimits?: OpenCallLimits;
  /** How long the reader of a stream may take nothing, and the sender of one bring nothing. Default 60 s. */
  readonly stallMs?: number;
  /** How long a call may take without a sign of life. Default 30 s. */
  readonly pulseMs?: number;
  /** How long `close` waits for requests under way. Default 5 s. */
  readonly closeTimeoutMs?: number;
}

export interface Server extends AsyncDisposable {
  /** Starts to listen; resolves with the address. Rejects with CONFIG_INVALID when the address cannot be had. */
  listen(): Promise<{ readonly url: string }>;
  /**
   * Takes no more requests, ends subscriptions and waits (they come back to the next control plane), lets the other
   * requests finish, and cuts what is left after `closeTimeoutMs`. Idempotent.
   */
  close(): Promise<void>;
}

/** Open connections; more are refused by the system. */
const maxConnections = 4_096;
/** For the path of a tRPC batch. */
const maxPathLength = 2_048;
const healthTimeoutMs = 2_000;
const defaultPulseMs = 30_000;

/**
 * The HTTP server: the API under `/trpc`, `/healthz`, and pages that say what this is and where people sign in, by bearer keys and
 * the cookies of sessions: no CORS. On the hosts of previews, and only there, the apps of sandboxes.
 */
export function createServer(options: ServerOptions): Server {
  const {
    settings,
    logger,
    services,
    metrics,
    checkHealth,
    ready = Promise.resolve(),
    stallMs = defaultStallMs,
    pulseMs = defaultPulseMs,
    closeTimeoutMs = 5_000,
  } = options;
  const draining = new AbortController();
  const subscriptions = new OpenCalls({
    what: 'subscriptions',
    limits: options.subscriptionLimits ?? { perKey: 64, inAll: 1_024 },
  });
  // Each may hold a window of the wire, 4 MiB, for a reader who is slow.
  const transfers = new OpenCalls({
    what: 'uploads and downloads',
    limits: options.transferLimits ?? { perKey: 32, inAll: 128 },
  });
  // Each takes some 40 KiB while it waits. One key is often that of a program with many users.
  const calls = new OpenCalls({ what: 'calls', limits: options.callLimits ?? { perKey: 1_024, inAll: 4_096 } });
  // One answer may be that of 50 of the largest reads, of 1.4 MB each.
  const held = new HeldBytes(options.byteLimits ?? { perKey: 96 * 1_024 ** 2, inAll: 256 * 1_024 ** 2 });
  const openCalls = () => ({ calls: calls.count, subscriptions: subscriptions.count, transfers: transfers.count });
  metrics.countOpenCalls(openCalls);
  services.domain.events.onStored((event) => metrics.event(event));
  const kinds = [subscriptions, transfers, calls];
  const forgetKeys = services.keys.onEnded((keyId) => {
    for (const open of kinds) open.endKey(keyId);
  });
  const forgetShares = services.sharing.onNarrowed(({ agentId, keyIds }) => {
    for (const open of kinds) for (const keyId of keyIds) open.cutAgent(keyId, agentId);
  });
  const identify: Identify = async (request) => await callerOf(request, services);
  const admit: Admit = async (request, calls = 1) => {
    const principal = await identify(request);
    await services.quotas.rates.take(principal, calls);
    return principal;
  };
  const isAcceptedHost = acceptedHosts(settings);
  const webSocketRoutes: readonly WebSocketRoute[] = [
    processSocketRoute(services.workspaces),
    terminalSocketRoute(services.workspaces),
    portSocketRoute(services.workspaces),
  ];
  const trustedProxies = networkList(settings.trustedProxies);
  const addressOf = (request: IncomingMessage): string => clientAddress(request, trustedProxies);
  const previews = createPreviewGateway({
    previews: services.previews,
    hosts: services.previewHosts,
    trustedProxies,
    ready,
    logger,
  });

  const connections = new OpenConnections();
  const app = fastify({
    bodyLimit: settings.maxBodyBytes,
    routerOptions: { maxParamLength: maxPathLength },
    schemaController: { compilersFactory: noSchemas },
    serverFactory: (api) => createHttpServer({ api, previews, connections }),
    forceCloseConnections: false, // `OpenConnections` closes them
    return503OnClosing: false, // the hook below says it in our own form
    exposeHeadRoutes: false,
    genReqId: () => randomUUID(),
    frameworkErrors: (error, _request, reply) => void sendRefusal(reply, refusalOf(error)),
    clientErrorHandler: (error, socket: Socket) => writeRawRefusal(socket, error, services.previewHosts),
  });
  app.server.maxConnections = maxConnections;
  const upgradeSocket = serveWebSockets({
    routes: webSocketRoutes,
    isAcceptedHost,
    admit,
    identify,
    ready,
    subscriptions,
    recorder: services.recorder,
    addressOf,
    logger,
  });
  app.server.on('upgrade', (request, socket, head) => {
    if (previews.covers(request.headers.host)) previews.upgrade(request, socket, head);
    else upgradeSocket(request, socket, head);
  });
  app.removeAllContentTypeParsers(); // a body is read only where a route says so

  options.tracing?.serve(app);
  let isReady = false;
  ready.then(
    () => (isReady = true),
    () => undefined, // each request is told
  );
  app.addHook('onRequest', async (request, reply) => {
    boundBodyTime(request.raw);
    void reply.header('x-content-type-options', 'nosniff').header('x-request-id', request.id);
    if (!isAcceptedHost(request.headers.host)) {
      throw new CaissonError('FORBIDDEN', 'The Host header does not name this server.', {
        hint: 'Use the address that Caisson printed at its start, or add the name to CAISSON_ALLOWED_HOSTS.',
      });
    }
    draining.signal.throwIfAborted();
    if (!isReady) await orAbort(ready, draining.signal);
  });
  app.addHook('onResponse', async (request, reply) => {
    const { id: requestId, method, url } = request;
    const path = url.split('?', 1)[0];
    metrics.request({ route: request.routeOptions.url ?? 'none', method, status: reply.statusCode });
    logger.debug({ requestId, method, path, status: reply.statusCode, ms: Math.round(reply.elapsedTime) }, 'request');
  });
  app.setErrorHandler(async (thrown: unknown, request: FastifyRequest, reply: FastifyReply) => {
    const refusal = refusalOf(thrown);
    if (refusal.error.code === 'INTERNAL') logger.error({ requestId: request.id, err: thrown }, 'a request failed');
    await sendRefusal(reply, refusal);
  });
  app.setNotFoundHandler(async (request, reply) => {
    const error = new CaissonError(
      'BAD_REQUEST',
      `There is no ${request.method} ${request.url.split('?', 1)[0]} here.`,
      {
        hint: 'The API is under /trpc.',
      },
    );
    await sendRefusal(reply, { status: 404, error });
  });

  app.get('/', async (_request, reply) => reply.type('text/html; charset=utf-8').send(landingPage(services.about)));
  app.get('/healthz', async (_request, reply) => {
    using limit = deadline(healthTimeoutMs, 'The health check');
    try {
      await orAbort(checkHealth(), limit.signal);
      return { status: 'ok' };
    } catch (thrown) {
      logger.warn({ err: thrown }, 'the health check failed');
      return await reply.code(503).send({ status: 'unavailable' });
    }
  });
  serveMetrics(app, { ...services, admit, identify, metrics, addressOf });
  serveLogin(app, { ...services, addressOf, logger });
  const observeCall = (call: ObservedCall): void => metrics.call(call);
  const apiServices = { ...services, subscriptions, observeCall, openCalls, draining: draining.signal };
  serveTrpc(app, { admit, identify, services: apiServices, calls, held, addressOf, logger, stallMs, pulseMs });
  serveFiles(app, { ...services, admit, identify, transfers, stallMs, addressOf, logger });
  serveAudit(app, { ...services, admit, identify, transfers, stallMs, addressOf, logger });

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    forgetKeys();
    forgetShares();
    const reason = new CaissonError('DRAINING', 'The control plane is shutting down.');
    draining.abort(reason);
    subscriptions.endAll(reason);
    services.previews[Symbol.dispose]();
    connections.drain();
    const cut = setTimeout(() => app.server.closeAllConnections(), closeTimeoutMs);
    try {
      await app.close();
    } finally {
      clearTimeout(cut);
    }
  };
  return {
    async listen() {
      try {
        const url = await app.listen({ host: settings.host, port: settings.port });
        const ownPort = Number(new URL(url).port || 80);
        services.previewHosts.listensOn(ownPort);
        services.webOrigin.listensOn(ownPort);
        return { url };
      } catch (cause) {
        throw new CaissonError('CONFIG_INVALID', listenRefusal(settings, cause), { cause });
      }
    },
    close: () => (closing ??= close()),
    [Symbol.asyncDispose]: () => (closing ??= close()),
  };
}

function listenRefusal({ host, port }: ServerOptions['settings'], cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'EADDRINUSE') return `Port ${port} of ${host} is in use. Stop what uses it, or set CAISSON_PORT.`;
  return `Caisson cannot listen on ${host}:${port} (CAISSON_HOST, CAISSON_PORT): ${errorText(cause)}.`;
}

/** Routes have no JSON schemas: zod checks what comes in. So fastify's compilers for them are not loaded. */
const noSchemas = {
  buildValidator: () => schemaRefused,
  buildSerializer: () => schemaRefused,
};

function schemaRefused(): never {
  throw new TypeError('A route has a JSON schema.');
}
