import { type Agent, type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { TLSSocket } from 'node:tls';
import { requestHeaders, responseHeaders } from './forwarded-headers.ts';
import type { GatewayLimits } from './gateway-limits.ts';
import { sendOpenAiError } from './openai-error.ts';
import { SecretMask } from './secret-mask.ts';
import { type ModelUsage, UsageReader } from './usage-reader.ts';

interface ModelCallOptions {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly target: string;
  readonly apiKey: string | null;
  readonly agent: Agent;
  readonly limits: GatewayLimits;
}

/** How a call ended: `answered` in full, whatever the status; every other one broke off. */
type CallOutcome =
  | 'answered'
  | 'guest_left'
  | 'guest_stalled'
  | 'request_refused'
  | 'upstream_unreachable'
  | 'upstream_timeout'
  | 'upstream_cut'
  | 'shut_down';

/** What the log is told of a call. */
export interface CallRecord extends Partial<ModelUsage> {
  readonly outcome: CallOutcome;
  /** Null when the service did not answer. */
  readonly status: number | null;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly firstByteMs: number | null;
  readonly ms: number;
  /** The system's code of what went wrong, e.g. ECONNREFUSED. */
  readonly cause?: string;
}

/**
 * One call, from the guest's stream to the service and back. Modes: asking (the guest's body passes on), answering (the
 * service's body passes back), over. Each mode has one timer at a time; `#finish` is the only way out and works once.
 */
export class ModelCall {
  readonly #options: ModelCallOptions;
  readonly #startedAt = performance.now();
  readonly #ended = Promise.withResolvers<CallRecord>();
  readonly #mask: SecretMask;
  #request: ClientRequest | undefined;
  #usage: UsageReader | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  /** The whole answer was handed to the guest's stream. */
  #isSaid = false;
  #status: number | null = null;
  #firstByteMs: number | null = null;
  #requestedModel: string | null = null;
  #requestBytes = 0;
  #responseBytes = 0;

  constructor(options: ModelCallOptions) {
    this.#options = options;
    this.#mask = new SecretMask(options.apiKey);
  }

  /** Resolves when nothing of the call is left. Never rejects. */
  run(): Promise<CallRecord> {
    const { stream, headers, limits } = this.#options;
    stream.once('close', () => {
      // Codex closes its stream on the event that ends the response, before the service has ended the body.
      const isWhole = (this.#isSaid && stream.rstCode === 0) || this.#usage?.usage !== undefined;
      this.#finish(isWhole ? 'answered' : 'guest_left');
    });
    const declared = declaredLength(headers);
    if (declared !== undefined && !(declared <= limits.maxRequestBytes)) this.#refuseBody(declared);
    else this.#ask(declared);
    return this.#ended.promise;
  }

  /** Breaks the call off. */
  cut(outcome: CallOutcome, cause?: string): void {
    this.#finish(outcome, cause);
  }

  #ask(declared: number | undefined): void {
    const { stream, headers, target, apiKey, agent, limits } = this.#options;
    const method = headers[':method'] === 'GET' ? 'GET' : 'POST';
    const sent = requestHeaders(headers, apiKey);
    if (method === 'GET') delete sent['content-length'];
    const send = target.startsWith('https:') ? httpsRequest : httpRequest;
    let request: ClientRequest;
    try {
      request = send(target, { method, headers: sent, agent });
    } catch {
      this.#refuse(400, 'invalid_headers', 'The request has headers that HTTP/1.1 does not allow.');
      return;
    }
    this.#request = request;
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
    if (method === 'GET') {
      stream.resume();
      request.end();
    } else {
      this.#passBody(request, declared);
    }
  }

  /** The body must be as long as it was declared: what is left over would be taken for the next request. */
  #passBody(request: ClientRequest, declared: number | undefined): void {
    const { stream, limits } = this.#options;
    stream.on('data', (chunk: Buffer) => {
      if (this.#requestBytes === 0) this.#requestedModel = modelIn(chunk);
      this.#requestBytes += chunk.length;
      if (this.#isOver) return;
      if (this.#requestBytes > (declared ?? limits.maxRequestBytes)) {
        this.#refuseBody(this.#requestBytes);
        return;
      }
      if (this.#status === null && this.#timer !== undefined) this.#timer.refresh();
      if (request.write(chunk)) return;
      stream.pause();
      request.once('drain', () => stream.resume());
    });
    stream.once('end', () => {
      if (this.#isOver || stream.aborted) return;
      if (declared !== undefined && this.#requestBytes !== declared) this.#refuseBody(this.#requestBytes);
      else request.end();
    });
  }

  #awaitFirstByte(): void {
    if (this.#status !== null) return;
    this.#arm(this.#options.limits.firstByteTimeoutMs, () => this.#fail('upstream_timeout', 'first byte'));
  }

  #answer(response: IncomingMessage): void {
    const { stream, apiKey } = this.#options;
    if (this.#isOver || stream.destroyed) return;
    const status = response.statusCode ?? 502;
    try {
      stream.respond({ ...responseHeaders(response.headers, apiKey), ':status': status });
    } catch {
      this.#fail('upstream_cut', 'its headers cannot be passed on');
      return;
    }
    this.#status = status;
    this.#firstByteMs = since(this.#startedAt);
    this.#usage = new UsageReader(response.headers['content-type']);
    const awaitMore = (): void => {
      this.#arm(this.#options.limits.idleTimeoutMs, () => this.#fail('upstream_timeout', 'idle'));
    };
    awaitMore();
    response.on('data', (chunk: Buffer) => {
      if (this.#isOver) return;
      this.#responseBytes += chunk.length;
      this.#usage?.read(chunk);
      joinWrites(stream);
      if (stream.write(this.#mask.pass(chunk))) {
        this.#timer?.refresh();
        return;
      }
      response.pause();
      this.#arm(this.#options.limits.idleTimeoutMs, () => this.#fail('guest_stalled'));
      stream.once('drain', () => {
        if (this.#isOver) return;
        awaitMore();
        response.resume();
      });
    });
    response.once('end', () => {
      if (this.#isOver) return;
      this.#usage?.end();
      this.#isSaid = true;
      stream.end(this.#mask.rest());
      this.#arm(this.#options.limits.idleTimeoutMs, () => this.#fail('guest_stalled'));
      stream.once('finish', () => this.#finish('answered'));
    });
    response.on('error', (error) => this.#fail('upstream_cut', 'code' in error ? String(error.code) : error.name));
  }

  #refuseBody(length: number): void {
    const { maxRequestBytes } = this.#options.limits;
    if (length > maxRequestBytes) {
      this.#refuse(413, 'request_too_large', `The request body is larger than ${maxRequestBytes} bytes.`);
    } else {
      this.#refuse(400, 'invalid_body', 'The request body is not as long as it was declared.');
    }
  }

  #refuse(status: number, code: string, message: string): void {
    sendOpenAiError(this.#options.stream, status, { message, type: 'invalid_request_error', code });
    this.#finish('request_refused');
  }

  /** Something of the service, or of the guest's reading, went wrong: before the answer it is an error, in it a cut. */
  #fail(outcome: CallOutcome, cause?: string): void {
    if (this.#isOver) return;
    if (this.#status === null) {
      const timedOut = outcome === 'upstream_timeout';
      sendOpenAiError(this.#options.stream, timedOut ? 504 : 502, {
        message: timedOut
          ? `The model service did not answer in time (${cause}).`
          : `The model service cannot be reached (${cause}).`,
        type: 'server_error',
        code: timedOut ? 'model_timeout' : 'model_unreachable',
      });
    }
    this.#finish(outcome, cause);
  }

  #finish(outcome: CallOutcome, cause?: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    const { stream } = this.#options;
    stream.resume(); // what still comes is thrown away
    if (outcome !== 'answered') {
      this.#request?.destroy();
      if (this.#status !== null || outcome === 'shut_down') cutShort(stream);
    }
    this.#ended.resolve({
      outcome,
      status: this.#status,
      ...this.#usage?.usage,
      model: this.#usage?.usage?.model ?? this.#requestedModel,
      requestBytes: this.#requestBytes,
      responseBytes: this.#responseBytes,
      firstByteMs: this.#firstByteMs,
      ms: since(this.#startedAt),
      ...(cause === undefined ? {} : { cause }),
    });
  }

  #arm(ms: number, expired: () => void): void {
    clearTimeout(this.#timer);
    if (!this.#isOver) this.#timer = setTimeout(expired, ms);
  }
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

/** The model that a request asks for, if its first bytes say so: harnesses name it first. For the log only. */
function modelIn(chunk: Buffer): string | null {
  return /"model"\s*:\s*"([^"\\]{1,100})"/.exec(chunk.toString('utf8', 0, 4_096))?.[1] ?? null;
}

function since(start: number): number {
  return Math.round((performance.now() - start) * 10) / 10;
}
