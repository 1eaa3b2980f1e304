import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { ClientHttp2Stream, IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { CallRecord } from '../../../src/controlplane/model-gateway/call-record.ts';
import type { ModelCaller } from '../../../src/controlplane/model-gateway/callers.ts';
import type { GatewayLimits } from '../../../src/controlplane/model-gateway/gateway-limits.ts';
import { createModelGateway, type ModelGateway } from '../../../src/controlplane/model-gateway/model-gateway.ts';
import type { ModelRouteSettings, UpstreamSettings } from '../../../src/controlplane/model-gateway/model-routes.ts';
import type { ModelUsage } from '../../../src/controlplane/model-gateway/model-usage.ts';
import { type Clock, systemClock } from '../../../src/kernel/clock.ts';
import { type AgentId, newAgentId, newConversationId, newRunId, newUserId } from '../../../src/kernel/ids.ts';
import type { Logger } from '../../../src/kernel/logger.ts';
import { connectHttp2 } from '../../../src/wire/connect-http2.ts';
import { openStream } from '../../../src/wire/requests.ts';
import { serveOutward } from '../../../src/wire/serve-outward.ts';
import { MemoryBudget } from './memory-budget.ts';

export const apiKey = 'sk-secret-0123456789abcdef0123456789abcdef';

/** A request that names a model, and nothing else. */
export const aRequest = '{"model":"gpt-5.5"}';

export interface GuestAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
}

/** A guest and a gateway with the wire between them, over a real socket, and a model service on a free port. */
export interface GatewayFixture extends AsyncDisposable {
  readonly gateway: ModelGateway;
  readonly upstreamUrl: string;
  readonly log: Readonly<Record<string, unknown>>[];
  readonly handlerErrors: unknown[];
  readonly caller: ModelCaller;
  readonly budget: MemoryBudget;
  /** Calls that are over, in their order. */
  readonly calls: readonly CallRecord[];
  /** Calls that were kept, in their order. */
  readonly kept: readonly ModelUsage[];
  /** What the harness said of its session, call by call. */
  readonly sessions: readonly (readonly string[])[];
  open(headers: OutgoingHttpHeaders, options?: { readonly endStream?: boolean }): ClientHttp2Stream;
  /** Sends a POST to /model/v1/responses, and does not wait for its answer. */
  begin(body: string | Buffer, headers?: OutgoingHttpHeaders): ClientHttp2Stream;
  /** The same, and its whole answer. Rejects when it is cut. */
  ask(body: string | Buffer, headers?: OutgoingHttpHeaders): Promise<GuestAnswer>;
  /** Breaks the wire. */
  cutWire(): void;
}

interface FixtureOptions {
  readonly upstream?: RequestListener;
  /** In place of `upstream`. */
  readonly baseUrl?: string;
  readonly limits?: Partial<GatewayLimits>;
  readonly key?: string | null;
  readonly clock?: Clock;
  readonly budget?: MemoryBudget;
  readonly keyHeader?: UpstreamSettings['keyHeader'];
  readonly routes?: Partial<ModelRouteSettings>;
  /** Default: `alice`. */
  readonly userName?: string;
  /** The agent is deleted. */
  readonly isDeleted?: boolean;
  /** Gets the gateway's end of a call before the gateway does. */
  readonly onStream?: (stream: ServerHttp2Stream) => void;
  /** Why calls cannot be kept. */
  readonly sinkFails?: Error;
}

export async function openGateway(options: FixtureOptions): Promise<GatewayFixture> {
  const { upstream = () => undefined, limits = {}, key = apiKey, clock = systemClock } = options;
  const { budget = new MemoryBudget(), keyHeader = 'bearer' } = options;
  await using undo = new AsyncDisposableStack();
  const server = createServer(upstream);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  undo.defer(() => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  const upstreamUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  const log: Record<string, unknown>[] = [];
  const agentId: AgentId = newAgentId();
  const caller: ModelCaller = {
    userId: newUserId(),
    userName: options.userName ?? 'alice',
    agentId,
    conversationId: newConversationId(),
    runId: newRunId(),
  };
  const calls: CallRecord[] = [];
  const kept: ModelUsage[] = [];
  const sessions: (readonly string[])[] = [];
  const gateway = undo.use(
    createModelGateway({
      routes: {
        upstreams: [{ name: 'main', baseUrl: options.baseUrl ?? upstreamUrl, apiKey: key, keyHeader, models: ['*'] }],
        aliases: {},
        allowed: {},
        ...options.routes,
      },
      callers: {
        find: async (_, sessionIds) => {
          sessions.push(sessionIds);
          return options.isDeleted === true ? undefined : caller;
        },
      },
      budget,
      usage: {
        add: async (calls) => {
          if (options.sinkFails !== undefined) throw options.sinkFails;
          kept.push(...calls);
        },
      },
      logger: recordingLogger(log),
      limits,
      clock,
      onCall: (record) => calls.push(record),
    }),
  );
  const handlerErrors: unknown[] = [];
  const [near, far] = await socketPair();
  const control = serveOutward(
    near,
    (stream, headers) => {
      options.onStream?.(stream);
      return gateway.handle(agentId, stream, headers);
    },
    { onHandlerError: (thrown) => handlerErrors.push(thrown) },
  );
  const guest = connectHttp2(far);
  undo.defer(async () => {
    await Promise.all([guest.close(), control.close()]);
  });
  const open: GatewayFixture['open'] = (headers, { endStream = false } = {}) =>
    openStream(guest.session, { headers, endStream });
  const begin: GatewayFixture['begin'] = (body, headers = {}) => {
    const fixed = { ':method': 'POST', ':path': '/model/v1/responses', 'content-type': 'application/json' };
    const stream = open({ ...fixed, ...headers });
    stream.end(body);
    return stream;
  };
  const stop = undo.move();
  return {
    gateway,
    upstreamUrl,
    log,
    handlerErrors,
    caller,
    budget,
    calls,
    kept,
    sessions,
    open,
    begin,
    ask: async (body, headers) => await readAnswer(begin(body, headers)),
    cutWire: () => far.destroy(),
    [Symbol.asyncDispose]: () => stop.disposeAsync(),
  };
}

/** The whole answer. Rejects when it is reset. */
export async function readAnswer(stream: ClientHttp2Stream): Promise<GuestAnswer> {
  const headers = new Promise<IncomingHttpHeaders>((resolve) => stream.once('response', resolve));
  const closed = new Promise<never>((_, reject) => {
    stream.once('close', () => {
      if (stream.rstCode !== 0) reject(new Error(`reset with ${stream.rstCode}`));
    });
  });
  const read = (async () => {
    const body = await buffer(stream);
    const given = await headers;
    return { status: Number(given[':status']), headers: given, body, text: body.toString() };
  })();
  read.catch(() => undefined); // a reset is told by `closed`
  const [answer] = await Promise.all([
    Promise.race([read, closed]),
    new Promise<void>((resolve, reject) => {
      stream.once('close', () =>
        stream.rstCode === 0 ? resolve() : reject(new Error(`reset with ${stream.rstCode}`)),
      );
    }),
  ]);
  return answer;
}

export async function bodyOf(request: IncomingMessage): Promise<string> {
  return (await buffer(request)).toString();
}

export function sse(response: ServerResponse): ServerResponse {
  return response.writeHead(200, { 'content-type': 'text/event-stream' });
}

async function socketPair(): Promise<[Duplex, Duplex]> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<Duplex>((resolve) => server.once('connection', resolve));
  const far = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', noDelay: true });
  const near = await accepted;
  server.close();
  return [near, far];
}

function recordingLogger(log: Record<string, unknown>[]): Logger {
  const add = (fields: Readonly<Record<string, unknown>>): void => void log.push(fields);
  return { debug: add, info: add, warn: add, error: add };
}
