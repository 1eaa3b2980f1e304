import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Clock } from '../../kernel/clock.ts';
import type { AgentId } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import { outwardModelPrefix } from '../../wire/contract/guest-api.ts';
import { chatCompletionsApi } from './apis/chat-completions.ts';
import { messagesApi } from './apis/messages.ts';
import type { ModelApi } from './apis/model-api.ts';
import { responsesApi } from './apis/responses.ts';
import type { ModelBudget } from './budget.ts';
import { CallLog } from './call-log.ts';
import { type CallRecord, refusedRecord } from './call-record.ts';
import type { ModelCallers } from './callers.ts';
import type { BreakerMode } from './circuit-breaker.ts';
import { GatewayError } from './gateway-error.ts';
import { defaultGatewayLimits, type GatewayLimits } from './gateway-limits.ts';
import { HeldRoom } from './held-room.ts';
import { ModelCall, type ModelCallKind } from './model-call.ts';
import { ModelRoutes, type ModelRouteSettings } from './model-routes.ts';
import { type UsageSink, usageOf } from './model-usage.ts';
import { sendError } from './send-error.ts';
import { UsageRecorder } from './usage-recorder.ts';

interface ModelGatewayOptions {
  readonly routes: ModelRouteSettings;
  readonly callers: ModelCallers;
  readonly budget: ModelBudget;
  readonly usage: UsageSink;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits?: Partial<GatewayLimits>;
  /** Hears of every call that is over. Must not throw. Default: nobody does. */
  readonly onCall?: ((record: CallRecord) => void) | undefined;
}

/** Disposing it breaks off what is under way, and resolves when that is counted. */
export interface ModelGateway extends AsyncDisposable {
  /**
   * Answers one outward request of an agent's guest. Whose it is, is known by the wire that it came through.
   * Resolves when the answer is over, in whatever way, and counted; never rejects.
   */
  handle(agentId: AgentId, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void>;
  /** How the breaker of each service stands. */
  readonly breakers: Readonly<Record<string, BreakerMode>>;
}

interface Route {
  readonly api: ModelApi;
  /** Added to the address of a service. */
  readonly upstreamPath: string;
  readonly asks: ModelCallKind;
}

/** What a harness may ask for. */
const routes: Readonly<Record<string, Route>> = Object.fromEntries([
  ...[responsesApi, chatCompletionsApi, messagesApi].map((api) => [
    `POST ${outwardModelPrefix}${api.path}`,
    { api, upstreamPath: api.upstreamPath, asks: 'answer' },
  ]),
  [
    `POST ${outwardModelPrefix}${messagesApi.path}/count_tokens`,
    { api: messagesApi, upstreamPath: `${messagesApi.upstreamPath}/count_tokens`, asks: 'count' },
  ],
  [`GET ${outwardModelPrefix}/v1/models`, { api: responsesApi, upstreamPath: '/models', asks: 'list' }],
]);

/**
 * The way from a sandbox to the model services. Which one is asked is decided by the name of the model; its key is added here
 * and nowhere else; the guest's own credentials, cookies and all headers that no service needs stay behind. Bodies pass both
 * ways as they come, at the reader's pace. What a service answers, errors too, is passed on unchanged; what keeps it from
 * answering becomes an error in the form of its API. A call has room in its budget before it is passed on, and ends when
 * there is no more. Every call is logged with its tokens (`CallLog`), and kept when it took any.
 */
export function createModelGateway(options: ModelGatewayOptions): ModelGateway {
  const { callers, budget, clock, logger } = options;
  const limits = { ...defaultGatewayLimits, ...options.limits };
  const log = new CallLog(logger, clock);
  const recorder = new UsageRecorder(options.usage, clock, logger);
  const modelRoutes = new ModelRoutes(options.routes, clock, logger);
  const room = new HeldRoom(limits.maxHeldBytes);
  const open = new Map<AgentId, Set<ModelCall>>();
  const running = new Set<Promise<void>>();

  const tell = (agentId: AgentId, record: CallRecord): void => {
    log.add(agentId, record);
    options.onCall?.(record);
  };

  const run = async (agentId: AgentId, call: ModelCall): Promise<void> => {
    const { record, settled } = await call.run();
    tell(agentId, record);
    const usage = usageOf(record, clock.now());
    await Promise.all([settled, usage && recorder.add(usage)]);
  };

  return {
    get breakers() {
      return modelRoutes.breakers;
    },
    async handle(agentId, stream, headers) {
      stream.on('error', () => undefined); // also emits 'close', which the call watches
      const [path = '', query] = (headers[':path'] ?? '').split('#', 1).join().split('?', 2);
      const route = routes[`${headers[':method']} ${path}`];
      if (route === undefined) {
        const error = new GatewayError('not_found', `There is no ${headers[':method']} ${path.slice(0, 100)} here.`);
        sendError(stream, path.includes('/messages') ? messagesApi : responsesApi, error);
        return;
      }
      const calls = open.get(agentId) ?? new Set();
      if (calls.size >= limits.maxCallsPerAgent || running.size >= limits.maxCalls) {
        const error = new GatewayError('too_many_calls', 'Too many model calls are under way.');
        sendError(stream, route.api, error);
        tell(agentId, refusedRecord(route.api, error));
        return;
      }
      const call = new ModelCall({
        ...route,
        upstreamPath: `${route.upstreamPath}${query === undefined ? '' : `?${query}`}`,
        agentId,
        stream,
        headers,
        routes: modelRoutes,
        callers,
        budget,
        room: room.of(agentId),
        limits,
        clock,
        logger,
      });
      open.set(agentId, calls.add(call));
      const ended = run(agentId, call);
      running.add(ended);
      try {
        await ended;
      } finally {
        running.delete(ended);
        calls.delete(call);
        if (calls.size === 0 && open.get(agentId) === calls) open.delete(agentId);
      }
    },
    async [Symbol.asyncDispose]() {
      for (const calls of open.values()) for (const call of calls) call.cut('shut_down');
      await Promise.allSettled(running);
      await recorder[Symbol.asyncDispose]();
      modelRoutes[Symbol.dispose]();
      log[Symbol.dispose]();
    },
  };
}
