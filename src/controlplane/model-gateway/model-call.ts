import type { IncomingMessage } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { Clock } from '../../kernel/clock.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { ModelApi } from './apis/model-api.ts';
import { BudgetSpent } from './budget.ts';
import { type AdmissionOptions, CallAdmission } from './call-admission.ts';
import type { CallOutcome } from './call-record.ts';
import { type EndedCall, endCall } from './call-ending.ts';
import { CallTimer } from './call-timer.ts';
import type { ModelCaller } from './callers.ts';
import { responseHeaders } from './forwarded-headers.ts';
import { GatewayError, quotaError } from './gateway-error.ts';
import type { GatewayLimits } from './gateway-limits.ts';
import { GuestAnswer } from './guest-answer.ts';
import { declaredLength, GuestBody } from './guest-body.ts';
import type { HeldShare } from './held-room.ts';
import { passModelList } from './model-list.ts';
import { PassingAnswer } from './passing-answer.ts';
import { sendError } from './send-error.ts';
import { since } from './since.ts';
import { UnseenOutput } from './unseen-output.ts';
import { UpstreamRequest } from './upstream-request.ts';

/**
 * What a call asks for: an `answer` of a model; a `count` of the tokens of a request, by the service of its model, which costs
 * nothing; or the `list` of models, which has no body, and costs nothing either.
 */
export type ModelCallKind = 'answer' | 'count' | 'list';

interface ModelCallOptions extends AdmissionOptions {
  readonly stream: ServerHttp2Stream;
  readonly api: ModelApi;
  /** With its query; added to the address of the service. */
  readonly upstreamPath: string;
  readonly asks: ModelCallKind;
  readonly room: HeldShare;
  readonly limits: GatewayLimits;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * One call, from the guest's stream to the service and back. Modes: admitting (`CallAdmission`: the request names its model, and
 * room is held for it), asking (`UpstreamRequest`: the guest's body passes on), answering (`PassingAnswer`: the service's body passes
 * back), over. Each mode has one timer at a time; `#finish` is the only way out and works once. After it the call is settled with
 * its budget.
 */
export class ModelCall {
  readonly #options: ModelCallOptions;
  readonly #startedAt = performance.now();
  readonly #ended = Promise.withResolvers<EndedCall>();
  readonly #timer = new CallTimer();
  readonly #admission: CallAdmission;
  readonly #body: GuestBody;
  readonly #guest: GuestAnswer;
  readonly #unseen: UnseenOutput;
  #request: UpstreamRequest | undefined;
  #answer: PassingAnswer | undefined;

  constructor(options: ModelCallOptions) {
    this.#options = options;
    const { stream, api, headers, limits, room, clock } = options;
    this.#admission = new CallAdmission(options);
    this.#unseen = new UnseenOutput(clock);
    this.#body = new GuestBody({
      stream,
      api,
      declaredBytes: declaredLength(headers),
      maxBytes: limits.maxRequestBytes,
      room,
      onProblem: (error) => this.#refuse(error),
      onProgress: () => {
        if (this.#guest.status !== null) return;
        if (since(this.#startedAt) > limits.bodyTimeoutMs) {
          this.#refuse(new GatewayError('invalid_body', 'The request body took too long to come.'));
          return;
        }
        this.#timer.refresh();
        this.#unseen.restart();
      },
    });
    this.#guest = new GuestAnswer({
      stream,
      startedAt: this.#startedAt,
      timer: this.#timer,
      idleTimeoutMs: limits.idleTimeoutMs,
      onEnd: (outcome) => this.#finish(outcome),
    });
  }

  /** Resolves when the call is over. Never rejects. */
  run(): Promise<EndedCall> {
    const { stream, limits, asks } = this.#options;
    stream.once('close', () => {
      const { ending } = this.#guest;
      // Codex closes its stream on the event that ends the response, before the service has ended the body.
      if (ending !== undefined && stream.rstCode === 0) this.#finish(ending);
      else this.#finish(this.#answer?.usage.ending === undefined ? 'guest_left' : 'answered');
    });
    this.#timer.arm(limits.firstByteTimeoutMs, () => {
      this.#refuse(new GatewayError('invalid_body', 'The request body did not come in time.'));
    });
    const asked = asks === 'list' ? this.#askForList() : this.#askForAnswer();
    asked.catch((thrown: unknown) => this.#refuse(thrown));
    return this.#ended.promise;
  }

  /** Breaks the call off. */
  cut(outcome: CallOutcome, cause?: string): void {
    this.#finish(outcome, cause);
  }

  async #askForList(): Promise<void> {
    this.#options.stream.resume();
    if (await this.#admission.toList()) this.#ask('GET', undefined).request.end();
  }

  async #askForAnswer(): Promise<void> {
    const isFree = this.#options.asks !== 'answer';
    const onSpent = (error: BudgetSpent): void => this.#answer?.stopAtBudget(error);
    if (!(await this.#admission.toAsk(this.#body, { isFree, onSpent }))) return;
    const model = this.#admission.route?.model ?? '';
    const { request } = this.#ask('POST', this.#body.sentBytes(model));
    this.#body.passTo(request, model);
  }

  /** Throws a GatewayError where the service is not asked. */
  #ask(method: 'GET' | 'POST', length: number | undefined): UpstreamRequest {
    const { headers, upstreamPath: path, limits } = this.#options;
    const { upstream } = this.#admission.route ?? {};
    if (upstream === undefined) throw new TypeError('The call has no service.');
    this.#guest.conceal(upstream.apiKey);
    return (this.#request = new UpstreamRequest({
      upstream,
      method,
      path,
      headers,
      length,
      limits,
      timer: this.#timer,
      onConnected: () => this.#unseen.restart(),
      onFailure: (outcome, cause) => this.#fail(outcome, cause),
      onResponse: (response) => this.#take(response),
    }));
  }

  #take(response: IncomingMessage): void {
    const { api, limits, asks } = this.#options;
    const { caller, meter, route } = this.#admission;
    if (!this.#guest.isOpen || this.#request === undefined) return;
    const status = response.statusCode ?? 502;
    if (asks === 'list' && status === 200 && caller !== undefined) {
      void this.#passList(response, caller);
      return;
    }
    try {
      this.#guest.begin(status, responseHeaders(response.headers, route?.upstream.apiKey ?? null));
    } catch {
      this.#fail('upstream_cut', 'its headers cannot be passed on');
      return;
    }
    this.#answer = new PassingAnswer({
      api,
      request: this.#request,
      response,
      guest: this.#guest,
      meter,
      unseen: this.#unseen,
      timer: this.#timer,
      idleTimeoutMs: limits.idleTimeoutMs,
      onFailure: (outcome, cause) => this.#fail(outcome, cause),
      onSpent: () => this.#finish('budget_spent'),
    });
  }

  /** Never rejects. */
  async #passList(response: IncomingMessage, { userName }: ModelCaller): Promise<void> {
    try {
      await passModelList(response, { guest: this.#guest, routes: this.#options.routes, userName });
    } catch {
      this.#fail('upstream_cut', 'its list of models cannot be read');
    }
  }

  /** The call is not passed on, or no further: whatever was thrown becomes an error in the form of the API. */
  #refuse(thrown: unknown): void {
    if (this.#guest.isOver) return;
    const error = this.#toGatewayError(thrown);
    sendError(this.#options.stream, this.#options.api, error);
    this.#finish(thrown instanceof BudgetSpent ? 'budget_spent' : 'request_refused', error.kind);
  }

  #toGatewayError(thrown: unknown): GatewayError {
    if (thrown instanceof GatewayError) return thrown;
    if (thrown instanceof BudgetSpent) return quotaError(thrown);
    this.#options.logger.error({ agentId: this.#options.agentId, err: thrown }, 'a model call could not be admitted');
    return new GatewayError('model_unavailable', 'The call could not be counted, so it was not made.');
  }

  /** Something of the service, or of the guest's reading, went wrong: before the answer it is an error, in it a cut. */
  #fail(outcome: CallOutcome, cause?: string): void {
    if (this.#guest.isEnding) return;
    if (this.#guest.status === null) {
      const error =
        outcome === 'upstream_timeout'
          ? new GatewayError('model_timeout', `The model service did not answer in time (${cause}).`)
          : new GatewayError('model_unreachable', `The model service cannot be reached (${cause}).`);
      sendError(this.#options.stream, this.#options.api, error);
    }
    this.#finish(outcome, cause);
  }

  #finish(outcome: CallOutcome, cause?: string): void {
    if (this.#guest.isOver) return;
    this.#timer.stop();
    this.#admission.abandon();
    this.#body.abandon();
    this.#guest.abandon();
    const { status, ending } = this.#guest;
    this.#options.stream.resume(); // what still comes is thrown away
    if (ending !== outcome && outcome !== 'answered') {
      this.#request?.destroy();
      if (status !== null || outcome === 'shut_down') this.#guest.cutShort(outcome);
    }
    const isDown = status === null && (outcome === 'upstream_unreachable' || outcome === 'upstream_timeout');
    this.#request?.leaveBreaker(isDown ? 'failed' : 'unknown');
    this.#ended.resolve(
      endCall({
        ...this.#options,
        outcome,
        cause,
        admission: this.#admission,
        body: this.#body,
        request: this.#request,
        guest: this.#guest,
        answer: this.#answer,
        unseen: this.#unseen,
        ms: since(this.#startedAt),
      }),
    );
  }
}
