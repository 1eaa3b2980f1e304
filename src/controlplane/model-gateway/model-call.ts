import type { ClientRequest, IncomingMessage } from 'node:http';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { TLSSocket } from 'node:tls';
import { errorText } from '../../kernel/errors.ts';
import type { AgentId } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import { request as httpRequest } from '../../kernel/node-http.ts';
import type { ModelApi } from './apis/model-api.ts';
import { BudgetSpent, type ModelBudget } from './budget.ts';
import { CallMeter } from './call-meter.ts';
import type { CallOutcome, CallRecord } from './call-record.ts';
import { type ModelCaller, type ModelCallers, sessionIdsIn } from './callers.ts';
import { requestHeaders, responseHeaders } from './forwarded-headers.ts';
import type { GatewayLimits } from './gateway-limits.ts';
import { GatewayError } from './gateway-error.ts';
import { GuestBody } from './guest-body.ts';
import type { HeldRoom } from './held-room.ts';
import { listOf, readModelList } from './model-list.ts';
import type { ModelRoute, ModelRoutes } from './model-routes.ts';
import { type ModelPrice, priceOf } from './prices.ts';
import { SecretMask } from './secret-mask.ts';
import { sendError } from './send-error.ts';
import { UsageReader } from './usage-reader.ts';

/**
 * What a call asks for: an `answer` of a model; a `count` of the tokens of a request, by the service of its model, which costs
 * nothing; or the `list` of models, which has no body, and costs nothing either.
 */
export type ModelCallKind = 'answer' | 'count' | 'list';

interface ModelCallOptions {
  readonly agentId: AgentId;
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly api: ModelApi;
  /** With its query; added to the address of the service. */
  readonly upstreamPath: string;
  readonly asks: ModelCallKind;
  readonly routes: ModelRoutes;
  readonly callers: ModelCallers;
  readonly budget: ModelBudget;
  readonly room: HeldRoom;
  readonly limits: GatewayLimits;
  readonly logger: Logger;
}

/** A call that is over. */
export interface EndedCall {
  readonly record: CallRecord;
  /** Resolves when it is settled with its budget. Never rejects. */
  readonly settled: Promise<void>;
}

/** How long the event that is under way when the budget is spent may take to end. Milliseconds. */
const lastEventMs = 200;
/** How often it is looked whether a guest that has been sent all has left. */
const lookEveryMs = 250;

/** What a service answers that is down, or that stands behind something that cannot reach it. */
const downStatuses: readonly number[] = [502, 503, 504];

/**
 * One call, from the guest's stream to the service and back. Modes: admitting (the request names its model, and room is held
 * for it), asking (the guest's body passes on), answering (the service's body passes back), over. Each mode has one timer at
 * a time; `#finish` is the only way out and works once. After it the call is settled with its budget.
 */
export class ModelCall {
  readonly #options: ModelCallOptions;
  readonly #startedAt = performance.now();
  readonly #ended = Promise.withResolvers<EndedCall>();
  readonly #body: GuestBody;
  #caller: ModelCaller | undefined;
  #route: ModelRoute | undefined;
  #price: ModelPrice | undefined;
  #meter: CallMeter | undefined;
  #mask = new SecretMask(null);
  #request: ClientRequest | undefined;
  #usage: UsageReader | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Whether the service's breaker still has to be told how the call ended. */
  #isInBreaker = false;
  #spent: BudgetSpent | undefined;
  /** What the answer is paused for. */
  #waits = 0;
  /** How the call ends once the guest has all that it is going to be sent; undefined while there is more. */
  #ending: CallOutcome | undefined;
  #isOver = false;
  #status: number | null = null;
  #firstByteMs: number | null = null;
  #responseBytes = 0;

  constructor(options: ModelCallOptions) {
    this.#options = options;
    const { stream, api, headers, limits, room } = options;
    this.#body = new GuestBody({
      stream,
      api,
      declaredBytes: declaredLength(headers),
      maxBytes: limits.maxRequestBytes,
      room,
      onProblem: (error) => this.#refuse(error),
      onProgress: () => {
        if (this.#status === null) this.#timer?.refresh();
      },
    });
  }

  /** Resolves when the call is over. Never rejects. */
  run(): Promise<EndedCall> {
    const { stream, limits, asks } = this.#options;
    stream.once('close', () => {
      // Codex closes its stream on the event that ends the response, before the service has ended the body.
      if (this.#ending !== undefined && stream.rstCode === 0) this.#finish(this.#ending);
      else this.#finish(this.#usage?.ending === undefined ? 'guest_left' : 'answered');
    });
    this.#arm(limits.firstByteTimeoutMs, () => {
      this.#refuse(new GatewayError('invalid_body', 'The request body did not come in time.'));
    });
    const admitted = asks === 'list' ? this.#list() : this.#admit();
    admitted.catch((thrown: unknown) => this.#refuse(thrown));
    return this.#ended.promise;
  }

  /** Breaks the call off. */
  cut(outcome: CallOutcome, cause?: string): void {
    this.#finish(outcome, cause);
  }

  /** Asked of the first service. */
  async #list(): Promise<void> {
    const { agentId, stream, routes, callers } = this.#options;
    stream.resume();
    if (!routes.isPlain) {
      this.#caller = await callers.find(agentId, []);
      if (this.#isOver) return;
      if (this.#caller === undefined) throw new GatewayError('not_found', 'The agent is no longer there.');
    }
    this.#route = { upstream: routes.first, model: '' };
    this.#ask('GET', undefined).end();
  }

  async #admit(): Promise<void> {
    const { agentId, headers, callers, routes } = this.#options;
    if ((headers['content-encoding'] ?? 'identity') !== 'identity') {
      throw new GatewayError('invalid_body', 'The request body is compressed; the gateway takes it as it is only.');
    }
    const found = callers.find(agentId, sessionIdsIn(headers));
    found.catch(() => undefined); // awaited below
    const asked = await this.#body.model();
    this.#caller = await found;
    if (this.#isOver) return;
    if (this.#caller === undefined) throw new GatewayError('not_found', 'The agent is no longer there.');
    this.#route = routes.choose(this.#caller.userName, asked);
    const { model } = this.#route;
    if (this.#options.asks === 'answer' && !(await this.#holdRoom(this.#caller, model))) return;
    const request = this.#ask('POST', this.#body.sentBytes(model));
    this.#body.passTo(request, model);
  }

  /** Whether the call still goes on. Throws BudgetSpent where there is no room. */
  async #holdRoom(caller: ModelCaller, model: string): Promise<boolean> {
    const { headers, budget } = this.#options;
    const price = (this.#price = priceOf(model));
    const requestBytes = declaredLength(headers) ?? this.#body.bytes;
    const onSpent = (error: BudgetSpent): void => this.#stopAtBudget(error);
    const meter = await CallMeter.open({ budget, caller, price, requestBytes, onSpent });
    if (this.#isOver) {
      await meter.release();
      return false;
    }
    this.#meter = meter;
    return true;
  }

  /** Throws a GatewayError where the service is not asked. */
  #ask(method: 'GET' | 'POST', length: number | undefined): ClientRequest {
    const { headers, upstreamPath, limits } = this.#options;
    const { upstream } = this.#route ?? {};
    if (upstream === undefined) throw new TypeError('The call has no service.');
    const restMs = upstream.breaker.enter();
    if (restMs !== null) {
      throw new GatewayError('model_unavailable', `The model service ${upstream.name} does not answer at present.`, {
        retryAfterS: Math.ceil(restMs / 1_000),
      });
    }
    this.#isInBreaker = true;
    const { 'content-length': _, ...sent } = requestHeaders(headers, upstream);
    if (length !== undefined) sent['content-length'] = length;
    let request: ClientRequest;
    try {
      const { target, agent } = upstream;
      const send = target.protocol === 'https:' ? httpsRequest : httpRequest;
      request = send({ ...target, path: `${target.path}${upstreamPath}`, method, headers: sent, agent });
    } catch {
      throw new GatewayError('invalid_headers', 'The request has headers or a query that HTTP/1.1 does not allow.');
    }
    this.#request = request;
    this.#mask = new SecretMask(upstream.apiKey);
    this.#arm(limits.connectTimeoutMs, () => this.#fail('upstream_timeout', 'connect'));
    request.once('socket', (socket) => {
      const connected = (): void => this.#awaitFirstByte();
      if (request.reusedSocket) connected();
      else socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', connected);
    });
    request.on('error', (error) =>
      this.#fail('upstream_unreachable', 'code' in error ? String(error.code) : error.name),
    );
    request.once('response', (response) => this.#answer(response));
    return request;
  }

  #awaitFirstByte(): void {
    if (this.#status !== null) return;
    this.#arm(this.#options.limits.firstByteTimeoutMs, () => this.#fail('upstream_timeout', 'first byte'));
  }

  #answer(response: IncomingMessage): void {
    const { stream, api } = this.#options;
    if (this.#isOver || stream.destroyed) return;
    const status = response.statusCode ?? 502;
    this.#leaveBreaker(downStatuses.includes(status) ? 'failed' : 'worked');
    if (this.#options.asks === 'list' && status === 200 && this.#caller !== undefined) {
      void this.#answerList(response, this.#caller);
      return;
    }
    try {
      const headers = responseHeaders(response.headers, this.#route?.upstream.apiKey ?? null);
      stream.respond({ ...headers, ':status': status });
    } catch {
      this.#fail('upstream_cut', 'its headers cannot be passed on');
      return;
    }
    this.#status = status;
    this.#firstByteMs = since(this.#startedAt);
    const usage = (this.#usage = new UsageReader(api, response.headers['content-type']));
    this.#awaitMore();
    response.on('data', (chunk: Buffer) => {
      if (this.#isOver || this.#ending !== undefined) return;
      this.#responseBytes += chunk.length;
      usage.read(chunk);
      if (this.#spent !== undefined && usage.eventEnd !== -1) {
        this.#say(chunk.subarray(0, usage.eventEnd));
        this.#sayBudgetIsSpent(this.#spent);
        return;
      }
      const room = usage.ending === undefined ? this.#meter?.saw(usage.outputEstimate) : undefined;
      const isTaken = this.#say(chunk);
      if (isTaken && this.#spent === undefined) this.#timer?.refresh();
      if (!isTaken) this.#waitForGuest(response);
      if (room !== undefined) this.#pauseUntil(response, room);
    });
    response.once('end', () => {
      if (this.#isOver || this.#ending !== undefined) return;
      usage.end();
      this.#sayLast('answered', this.#mask.rest());
    });
    response.on('error', (error) => this.#fail('upstream_cut', 'code' in error ? String(error.code) : error.name));
  }

  /** As far as the caller may use it. Never rejects. */
  async #answerList(response: IncomingMessage, { userName }: ModelCaller): Promise<void> {
    const { stream, routes } = this.#options;
    try {
      const list = await readModelList(response);
      if (this.#isOver || stream.destroyed) return;
      const names = routes.namesFor(
        userName,
        list.data.map(({ id }) => id),
      );
      stream.respond({ ':status': 200, 'content-type': 'application/json' });
      this.#status = 200;
      this.#firstByteMs = since(this.#startedAt);
      const text = Buffer.from(JSON.stringify(listOf(names, list)));
      this.#responseBytes = text.length;
      this.#sayLast('answered', Buffer.concat([this.#mask.pass(text), this.#mask.rest()]));
    } catch {
      this.#fail('upstream_cut', 'its list of models cannot be read'); // a list that cannot be narrowed is not shown
    }
  }

  /** Whether the guest takes more. */
  #say(chunk: Buffer): boolean {
    const { stream } = this.#options;
    joinWrites(stream);
    return stream.write(this.#mask.pass(chunk));
  }

  #sayLast(outcome: CallOutcome, rest: Buffer | string): void {
    const { stream, limits } = this.#options;
    this.#ending = outcome;
    stream.end(rest);
    this.#awaitTaken(outcome, limits.idleTimeoutMs);
    stream.once('finish', () => this.#finish(outcome));
  }

  /**
   * Node tells nothing of a stream that the guest closes while its last bytes leave, as one does that knows their number:
   * neither 'finish' nor 'close'. So it is looked at.
   */
  #awaitTaken(outcome: CallOutcome, leftMs: number): void {
    const stepMs = Math.min(leftMs, lookEveryMs);
    this.#arm(stepMs, () => {
      const { stream } = this.#options;
      if (stream.closed && (stream.rstCode ?? 0) === 0) {
        this.#finish(outcome);
        stream.destroy();
      } else if (leftMs <= stepMs) this.#finish('guest_stalled');
      else this.#awaitTaken(outcome, leftMs - stepMs);
    });
  }

  #waitForGuest(response: IncomingMessage): void {
    const { stream, limits } = this.#options;
    if (this.#spent === undefined) this.#arm(limits.idleTimeoutMs, () => this.#fail('guest_stalled'));
    const { promise: drained, resolve } = Promise.withResolvers<void>();
    stream.once('drain', () => {
      if (!this.#isOver) this.#awaitMore();
      resolve();
    });
    this.#pauseUntil(response, drained);
  }

  /** Nothing is read of the answer until it resolves, and what else it waits for. */
  #pauseUntil(response: IncomingMessage, resolved: Promise<void>): void {
    response.pause();
    this.#waits += 1;
    void resolved.then(() => {
      this.#waits -= 1;
      if (this.#waits === 0 && !this.#isOver) response.resume();
    });
  }

  #awaitMore(): void {
    if (this.#spent !== undefined || this.#ending !== undefined) return; // the time of its last event runs
    this.#arm(this.#options.limits.idleTimeoutMs, () => this.#fail('upstream_timeout', 'idle'));
  }

  /** The answer ends with the event that is under way, and an error that says why. */
  #stopAtBudget(error: BudgetSpent): void {
    if (this.#isOver || this.#ending !== undefined || this.#usage === undefined) return;
    if (this.#usage.ending !== undefined) return; // all was said meanwhile
    this.#spent = error;
    if (this.#usage.isBetweenEvents) this.#sayBudgetIsSpent(error);
    else this.#arm(lastEventMs, () => this.#finish('budget_spent'));
  }

  #sayBudgetIsSpent(error: BudgetSpent): void {
    const event = this.#options.api.failureEvent(quotaError(error));
    this.#sayLast('budget_spent', Buffer.concat([this.#mask.rest(), Buffer.from(event)]));
    this.#request?.destroy();
  }

  /** The call is not passed on, or no further: whatever was thrown becomes an error in the form of the API. */
  #refuse(thrown: unknown): void {
    if (this.#isOver) return;
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
    if (this.#isOver || this.#ending !== undefined) return;
    if (this.#status === null) {
      const error =
        outcome === 'upstream_timeout'
          ? new GatewayError('model_timeout', `The model service did not answer in time (${cause}).`)
          : new GatewayError('model_unreachable', `The model service cannot be reached (${cause}).`);
      sendError(this.#options.stream, this.#options.api, error);
    }
    this.#finish(outcome, cause);
  }

  #finish(outcome: CallOutcome, cause?: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#body.abandon();
    const { stream } = this.#options;
    stream.resume(); // what still comes is thrown away
    if (this.#ending !== outcome && outcome !== 'answered') {
      this.#request?.destroy();
      if (this.#status !== null || outcome === 'shut_down') cutShort(stream);
    }
    const isDown = this.#status === null && (outcome === 'upstream_unreachable' || outcome === 'upstream_timeout');
    this.#leaveBreaker(isDown ? 'failed' : 'unknown');
    const ms = since(this.#startedAt);
    const settled = this.#settle(outcome);
    const record = {
      outcome,
      api: this.#options.api.name,
      status: this.#status,
      caller: this.#caller ?? null,
      upstream: this.#route?.upstream.name ?? null,
      model: this.#route?.model ?? null,
      priceVersion: this.#price?.version ?? null,
      answeredBy: this.#usage?.model ?? null,
      charge: this.#meter?.charge ?? null,
      requestBytes: this.#body.bytes,
      responseBytes: this.#responseBytes,
      firstByteMs: this.#firstByteMs,
      ms,
      ...(cause === undefined ? {} : { cause }),
    };
    this.#ended.resolve({ record, settled });
  }

  /** What the call is counted as is known when this returns, `settled` when it resolves. Never rejects. */
  async #settle(outcome: CallOutcome): Promise<void> {
    const [meter, usage] = [this.#meter, this.#usage];
    if (meter === undefined) return;
    try {
      if (usage === undefined || this.#status === null) {
        // The service may have been at work for a guest that would not wait for it; whoever breaks off pays for that.
        if (outcome === 'guest_left' && this.#body.isWhole) return await meter.settleByEstimate(null);
      } else if (this.#status < 400) {
        if (usage.tokens !== null) return await meter.settle(usage.tokens, { isEstimated: !usage.isToldWhole });
        // It may be reasoning unseen: whoever breaks off then pays as before its first byte.
        if (outcome === 'guest_left' && usage.outputEstimate === 0) return await meter.settleByEstimate(null);
        const seen = usage.outputEstimate || Math.ceil(this.#responseBytes / 4);
        if (usage.ending !== 'failed' || usage.outputEstimate > 0) return await meter.settleByEstimate(seen);
      }
      await meter.release();
    } catch (thrown) {
      const { agentId, logger } = this.#options;
      logger.error({ agentId, error: errorText(thrown) }, 'a model call could not be settled with its budget');
    }
  }

  #leaveBreaker(outcome: 'worked' | 'failed' | 'unknown'): void {
    if (!this.#isInBreaker) return;
    this.#isInBreaker = false;
    this.#route?.upstream.breaker.leave(outcome);
  }

  #arm(ms: number, expired: () => void): void {
    clearTimeout(this.#timer);
    if (!this.#isOver) this.#timer = setTimeout(expired, ms);
  }
}

function quotaError(spent: BudgetSpent): GatewayError {
  const left = spent.resetsAt === null ? null : Math.max(1, Math.ceil((spent.resetsAt - Date.now()) / 1_000));
  return new GatewayError('insufficient_quota', spent.message, { retryAfterS: left });
}

/** What is written until the end of this tick leaves as one frame: a service sends a few hundred bytes at a time. */
function joinWrites(stream: ServerHttp2Stream): void {
  if (stream.writableCorked > 0) return;
  stream.cork();
  process.nextTick(() => stream.uncork());
}

/**
 * Resets the stream once the guest has been sent what the service said before. `close` would not do: it ends the answer
 * properly first, and half an answer would pass for a whole one.
 */
function cutShort(stream: ServerHttp2Stream): void {
  const reset = (): void => void stream.destroy(new Error('The model service broke off.'));
  if (stream.destroyed || stream.writableLength === 0) reset();
  else stream.write('', reset);
}

/** Of the body; NaN for one that is no length. */
function declaredLength(headers: IncomingHttpHeaders): number | undefined {
  const declared = headers['content-length'];
  if (declared === undefined) return undefined;
  return /^\d{1,15}$/.test(declared) ? Number(declared) : Number.NaN;
}

function since(start: number): number {
  return Math.round((performance.now() - start) * 10) / 10;
}
