import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { ErrorCode } from '../../kernel/error-table.ts';
import { CaissonError, toCaissonError } from '../../kernel/errors.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { OpenCalls } from '../api/open-calls.ts';
import type { AliveMessage } from '../api/schemas/alive.ts';
import type { AuditEnd, SandboxEntry } from '../audit/audit-trail.ts';
import { auditCall, audited, isLetIn, recognised, type Recorder } from '../audit/audited.ts';
import type { Demand } from '../auth/access.ts';
import type { Need } from '../auth/needs.ts';
import type { Admit, Identify } from './admit.ts';
import { refusalOf, writeRefusal } from './refusals.ts';

/** The protocol of every socket of ours, and the one that carries the key where a browser cannot set headers. */
const protocol = 'caisson.v1';
const keyProtocolPrefix = 'base64url.bearer.authorization.caisson.';

/** Largest message of a client. */
const maxPayloadBytes = 1024 * 1024;
/** What has come of it so far: each piece takes some 400 bytes besides its own. From a network they have 536 and more. */
const maxPieces = 2_048;
/** A client of whom nothing comes from one ping to the next is gone. Programs see no pings: `alive` is for them. */
const defaultPingEveryMs = 20_000;

/** A request to become a WebSocket, of a caller who is known. */
export interface WebSocketCall {
  readonly demand: Demand;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Aborts when the socket closes, the caller's key is revoked, or the control plane shuts down. */
  readonly signal: AbortSignal;
  /** Begins the record of something that is asked for over the socket; `input` as it was given. */
  readonly begin: (action: string, input: object) => Promise<SandboxEntry>;
}

/** Serves a socket that is open. `refusal`: it only tells why it will not, for browsers, which do not learn it otherwise. */
export type WebSocketService = ((socket: WebSocket) => void) & { readonly refusal?: ErrorCode };

export interface WebSocketRoute {
  /** A segment that begins with a colon is a parameter. */
  readonly path: string;
  readonly needs: Need;
  /** Resolves when the socket may be opened, with what serves it; what it throws refuses the handshake. */
  readonly accept: (call: WebSocketCall) => Promise<WebSocketService>;
}

interface WebSocketsOptions {
  readonly routes: readonly WebSocketRoute[];
  readonly isAcceptedHost: (header: string | undefined) => boolean;
  readonly admit: Admit;
  readonly identify: Identify;
  /** Requests that come before it resolves wait for it. */
  readonly ready: Promise<void>;
  /** Each socket takes a place among the caller's subscriptions. */
  readonly subscriptions: OpenCalls;
  /** Each socket has a record, and what is begun over it. */
  readonly recorder: Recorder;
  /** Of who sent a request. */
  readonly addressOf: (request: IncomingMessage) => string;
  readonly logger: Logger;
  /** Default 20 s. */
  readonly pingEveryMs?: number;
}

/**
 * Serves WebSockets. The key comes as `Authorization: Bearer <key>`, or from browsers as a second subprotocol beside
 * `caisson.v1`: `base64url.bearer.authorization.caisson.<key as base64url>`, as Kubernetes has it; or a page of our own origin has
 * the cookie of a session. Sockets are closed with
 * 1008 when their key ends, with 1001 when the control plane shuts down or what their caller may do has changed, and those of browsers with 1013 when too many
 * are open.
 */
export function serveWebSockets(
  options: WebSocketsOptions,
): (request: IncomingMessage, socket: Duplex, head: Buffer) => void {
  const { routes, subscriptions, recorder, logger, pingEveryMs = defaultPingEveryMs } = options;
  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: maxPayloadBytes,
    maxBufferedChunks: maxPieces,
    maxFragments: maxPieces,
    handleProtocols: (offered) => (offered.has(protocol) ? protocol : false),
  });

  const upgrade = async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    if (!options.isAcceptedHost(request.headers.host)) {
      throw new CaissonError('FORBIDDEN', 'The Host header does not name this server.');
    }
    const address = URL.parse(request.url ?? '/', 'http://caisson');
    if (address === null) throw new CaissonError('BAD_REQUEST', 'The address of the web socket is not valid.');
    const { pathname, searchParams: query } = address;
    const [route, params] = findRoute(routes, pathname);
    await options.ready;
    const asking = { method: request.method, headers: headersOf(request) };
    const by = {
      principal: await recognised(options.identify(asking)),
      address: options.addressOf(request),
      requestId: null,
    };
    const call = auditCall({ ...by, action: `WS ${route.path}`, input: params });
    const begin: WebSocketCall['begin'] = (action, input) =>
      recorder.beginInSandbox(auditCall({ ...by, action, input: { ...params, ...input } }));
    const closed = new AbortController();
    const close = (): void => closed.abort(new CaissonError('ABORTED', 'The socket was closed.'));
    if (socket.destroyed) close();
    else socket.once('close', close);
    const isChange = isLetIn(by.principal, route.needs);
    const { place, serve } = await audited(
      recorder,
      call,
      { isChange, isStored: false, endOf: endOfHandshake },
      async () => {
        const principal = await options.admit(asking);
        const { signal } = closed;
        signal.throwIfAborted();
        const entered = subscriptions.enter(principal, signal);
        // Whatever becomes of the handshake: who is refused, here or by `ws`, has its socket closed.
        socket.once('close', () => entered[Symbol.dispose]());
        entered.about(params['agentId'] ?? '');
        const demand = { principal, need: route.needs };
        const accepted = await route.accept({ demand, params, query, signal: entered.signal, begin });
        return { place: entered, serve: accepted };
      },
    );
    place.signal.throwIfAborted();
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on('error', (error) => logger.debug({ path: pathname, err: error }, 'a web socket failed'));
      place.signal.addEventListener('abort', () => {
        const { code, message } = toCaissonError(place.signal.reason);
        const mayComeBack = code === 'DRAINING' || code === 'ACCESS_CHANGED';
        webSocket.close(mayComeBack ? 1001 : 1008, message.slice(0, 120));
        setTimeout(() => webSocket.terminate(), 1_000).unref();
      });
      keepAlive(webSocket, pingEveryMs);
      serve(webSocket);
    });
  };

  return (request, socket, head) => {
    socket.on('error', () => undefined); // also emits 'close'
    upgrade(request, socket, head).catch((thrown: unknown) => {
      const refusal = refusalOf(thrown);
      if (refusal.error.code === 'INTERNAL') logger.error({ err: thrown }, 'a web socket could not be opened');
      if (refusal.error.code !== 'TOO_MANY_CONNECTIONS' || request.headers.authorization !== undefined) {
        writeRefusal(socket, refusal);
        return;
      }
      // A browser does not learn why a handshake was refused, and what would help is to try again.
      sockets.handleUpgrade(request, socket, head, (webSocket) => {
        webSocket.on('error', () => undefined); // also emits 'close'
        webSocket.close(1013, refusal.error.message.slice(0, 120));
      });
    });
  };
}

function endOfHandshake({ serve }: { readonly serve: WebSocketService }): AuditEnd {
  return { outcome: serve.refusal ?? 'ok' };
}

/** With the key where it is for any other request. */
function headersOf(request: IncomingMessage): IncomingHttpHeaders {
  return { ...request.headers, authorization: authorizationOf(request) };
}

function authorizationOf({ headers }: IncomingMessage): string | undefined {
  if (headers.authorization !== undefined) return headers.authorization;
  const offered = headers['sec-websocket-protocol']?.split(',').map((name) => name.trim()) ?? [];
  const carrier = offered.find((name) => name.startsWith(keyProtocolPrefix));
  if (carrier === undefined) return undefined;
  return `Bearer ${Buffer.from(carrier.slice(keyProtocolPrefix.length), 'base64url').toString()}`;
}

function findRoute(routes: readonly WebSocketRoute[], path: string): [WebSocketRoute, Record<string, string>] {
  const given = path.split('/');
  for (const route of routes) {
    const expected = route.path.split('/');
    if (expected.length !== given.length) continue;
    if (!expected.every((segment, at) => segment.startsWith(':') || segment === given[at])) continue;
    const params = expected.flatMap((segment, at) =>
      segment.startsWith(':') ? [[segment.slice(1), decoded(given[at] ?? '')] as const] : [],
    );
    return [route, Object.fromEntries(params)];
  }
  throw new CaissonError('BAD_REQUEST', `There is no web socket at ${path}.`);
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (cause) {
    throw new CaissonError('BAD_REQUEST', 'The path of the web socket is no text.', { cause });
  }
}

const alive = JSON.stringify({ type: 'alive' } satisfies AliveMessage);

/** Ends a socket whose other end is gone without a word, and gives signs of life. */
function keepAlive(socket: WebSocket, pingEveryMs: number): void {
  let isAlive = true;
  const hear = (): void => void (isAlive = true);
  socket.on('pong', hear);
  socket.on('message', hear);
  const timer = setInterval(() => {
    // Where bytes wait to be taken, at either end, the ping or its pong waits behind them.
    const isHeldUp = socket.isPaused || socket.bufferedAmount > 0;
    if (!isAlive && !isHeldUp) return socket.terminate();
    isAlive = isHeldUp;
    socket.ping();
    if (socket.bufferedAmount === 0) socket.send(alive); // else there is enough to hear
  }, pingEveryMs);
  socket.once('close', () => clearInterval(timer));
}
