import type { IncomingHttpHeaders } from 'node:http2';
import type { AgentId } from '../../kernel/ids.ts';
import type { BudgetSpent, ModelBudget } from './budget.ts';
import { CallMeter } from './call-meter.ts';
import { type ModelCaller, type ModelCallers, sessionIdsIn } from './callers.ts';
import { GatewayError } from './gateway-error.ts';
import { declaredLength, type GuestBody } from './guest-body.ts';
import type { ModelRoute, ModelRoutes } from './model-routes.ts';
import { demoPrice, type ModelPrice, priceOf } from './prices.ts';

export interface AdmissionOptions {
  readonly agentId: AgentId;
  readonly headers: IncomingHttpHeaders;
  readonly routes: ModelRoutes;
  readonly callers: ModelCallers;
  readonly budget: ModelBudget;
}

/**
 * Whose call it is, which service it is for, and room for it in the budget. What it found out stays known when it refuses. Refusals
 * are thrown: a GatewayError, or BudgetSpent. Every way resolves with whether the call goes on; with false where it was
 * abandoned meanwhile, and then no room is held.
 */
export class CallAdmission {
  readonly #options: AdmissionOptions;
  #caller: ModelCaller | undefined;
  #route: ModelRoute | undefined;
  #price: ModelPrice | undefined;
  #meter: CallMeter | undefined;
  #isAbandoned = false;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  get caller(): ModelCaller | undefined {
    return this.#caller;
  }

  get route(): ModelRoute | undefined {
    return this.#route;
  }

  get price(): ModelPrice | undefined {
    return this.#price;
  }

  /** Undefined for a call that costs nothing. */
  get meter(): CallMeter | undefined {
    return this.#meter;
  }

  /** The list of models, which costs nothing: the first service is asked. */
  async toList(): Promise<boolean> {
    const { agentId, routes, callers } = this.#options;
    if (!routes.isPlain) {
      this.#caller = await callers.find(agentId, []);
      if (this.#isAbandoned) return false;
      if (this.#caller === undefined) throw new GatewayError('not_found', 'The agent is no longer there.');
    }
    this.#route = { upstream: routes.first, model: '' };
    return true;
  }

  /** A request to a model. For one that costs nothing no room is held. */
  async toAsk(
    body: GuestBody,
    { isFree, onSpent }: { readonly isFree: boolean; readonly onSpent: (error: BudgetSpent) => void },
  ): Promise<boolean> {
    const { agentId, headers, callers, routes } = this.#options;
    if ((headers['content-encoding'] ?? 'identity') !== 'identity') {
      throw new GatewayError('invalid_body', 'The request body is compressed; the gateway takes it as it is only.');
    }
    const found = callers.find(agentId, sessionIdsIn(headers));
    found.catch(() => undefined); // awaited below
    const asked = await body.model();
    this.#caller = await found;
    if (this.#isAbandoned) return false;
    if (this.#caller === undefined) throw new GatewayError('not_found', 'The agent is no longer there.');
    this.#route = routes.choose(this.#caller.userName, asked);
    if (isFree) return true;
    const { upstream, model } = this.#route;
    const price = (this.#price = upstream.isDemo === true ? demoPrice : priceOf(model));
    const requestBytes = declaredLength(headers) ?? body.bytes;
    const meter = await CallMeter.open({
      budget: this.#options.budget,
      caller: this.#caller,
      price,
      requestBytes,
      onSpent,
    });
    if (this.#isAbandoned) {
      await meter.release();
      return false;
    }
    this.#meter = meter;
    return true;
  }

  /** The call is over. */
  abandon(): void {
    this.#isAbandoned = true;
  }
}
