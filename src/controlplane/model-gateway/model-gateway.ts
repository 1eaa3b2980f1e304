import { Agent as HttpAgent } from 'node:http';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { Agent as HttpsAgent } from 'node:https';
import { type Clock, systemClock } from '../../kernel/clock.ts';
import type { AgentId } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import { outwardModelPrefix } from '../../wire/contract/guest-api.ts';
import { CallLog } from './call-log.ts';
import { defaultGatewayLimits, type GatewayLimits } from './gateway-limits.ts';
import { ModelCall } from './model-call.ts';
import { sendOpenAiError } from './openai-error.ts';

interface ModelGatewayOptions {
  readonly upstream: {
    /** The service's address; `/responses` is added to it. */
    readonly baseUrl: string;
    /** Null where the service needs none. */
    readonly apiKey: string | null;
  };
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly limits?: Partial<GatewayLimits>;
}

export interface ModelGateway extends AsyncDisposable {
  /**
   * Answers one outward request of an agent's guest. Whose it is, is known by the wire that it came through.
   * Resolves when the answer is over, in whatever way; never rejects.
   */
  handle(agentId: AgentId, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void>;
}

/** What a harness may ask for, and what the service is asked for it. */
const routes: Readonly<Record<string, string>> = {
  [`POST ${outwardModelPrefix}/v1/responses`]: '/responses',
  [`GET ${outwardModelPrefix}/v1/models`]: '/models',
};

/**
 * The way from a sandbox to the model service. The key is added here and nowhere else; the guest's own credentials,
 * cookies and hop-by-hop headers stay behind. Bodies pass both ways as they come, at the reader's pace. What the service
 * answers, errors too, is passed on unchanged; what keeps it from answering becomes an error in OpenAI's form. Calls are
 * logged with their tokens (`CallLog`).
 */
export function createModelGateway(options: ModelGatewayOptions): ModelGateway {
  const { upstream, logger, clock = systemClock, limits: changed } = options;
  const limits = { ...defaultGatewayLimits, ...changed };
  const log = new CallLog(logger, clock);
  const base = new URL(upstream.baseUrl);
  const agent = new (base.protocol === 'https:' ? HttpsAgent : HttpAgent)({ keepAlive: true, maxFreeSockets: 64 });
  const open = new Map<AgentId, Set<ModelCall>>();
  let count = 0;

  return {
    async handle(agentId, stream, headers) {
      stream.on('error', () => undefined); // also emits 'close', which the call watches
      const [path = '', query] = (headers[':path'] ?? '').split('?', 2);
      const route = routes[`${headers[':method']} ${path}`];
      if (route === undefined) {
        sendOpenAiError(stream, 404, {
          message: `There is no ${headers[':method']} ${path.slice(0, 100)} here.`,
          type: 'invalid_request_error',
          code: 'not_found',
        });
        return;
      }
      const calls = open.get(agentId) ?? new Set();
      if (calls.size >= limits.maxCallsPerAgent || count >= limits.maxCalls) {
        sendOpenAiError(stream, 429, {
          message: 'Too many model calls are under way.',
          type: 'rate_limit_error',
          code: 'too_many_calls',
        });
        return;
      }
      const call = new ModelCall({
        stream,
        headers,
        target: `${base.href.replace(/\/+$/, '')}${route}${query === undefined ? '' : `?${query}`}`,
        apiKey: upstream.apiKey,
        agent,
        limits,
      });
      open.set(agentId, calls.add(call));
      count += 1;
      try {
        log.add(agentId, route, await call.run());
      } finally {
        count -= 1;
        calls.delete(call);
        if (calls.size === 0 && open.get(agentId) === calls) open.delete(agentId);
      }
    },
    async [Symbol.asyncDispose]() {
      for (const calls of open.values()) for (const call of calls) call.cut('shut_down');
      agent.destroy();
      log[Symbol.dispose]();
    },
  };
}
