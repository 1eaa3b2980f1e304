import type { ClientRequest, IncomingMessage } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { TLSSocket } from 'node:tls';
import { request as httpRequest } from '../../kernel/node-http.ts';
import { holdBackSmallPieces } from '../../wire/small-pieces.ts';
import type { CallTimer } from './call-timer.ts';
import { requestHeaders } from './forwarded-headers.ts';
import { GatewayError } from './gateway-error.ts';
import type { GatewayLimits } from './gateway-limits.ts';
import type { Upstream } from './model-routes.ts';

/** What a service answers that is down, or that stands behind something that cannot reach it. */
const downStatuses: readonly number[] = [502, 503, 504];

interface UpstreamRequestOptions {
  readonly upstream: Upstream;
  readonly method: 'GET' | 'POST';
  /** Added to the address of the service. */
  readonly path: string;
  /** The guest's. */
  readonly headers: IncomingHttpHeaders;
  /** Of the body; undefined where it is not known. */
  readonly length: number | undefined;
  readonly timer: CallTimer;
  readonly limits: GatewayLimits;
  /** The service is there: from now on it gets the request. */
  readonly onConnected: () => void;
  readonly onFailure: (outcome: 'upstream_timeout' | 'upstream_unreachable', cause: string) => void;
  readonly onResponse: (response: IncomingMessage) => void;
}

/**
 * The request to a service, with its key, until the answer begins: there is a time for the connection, then one for the
 * first byte. Its breaker is told once how it went.
 */
export class UpstreamRequest {
  readonly request: ClientRequest;
  readonly #options: UpstreamRequestOptions;
  /** As `performance.now()` tells it. */
  readonly askedAt: number;
  #answeredAt: number | null = null;
  #isInBreaker = true;
  #isConnected = false;

  /** Throws a GatewayError where the service is not asked. */
  constructor(options: UpstreamRequestOptions) {
    this.#options = options;
    const { upstream, timer, limits } = options;
    const restMs = upstream.breaker.enter();
    if (restMs !== null) {
      throw new GatewayError('model_unavailable', `The model service ${upstream.name} does not answer at present.`, {
        retryAfterS: Math.ceil(restMs / 1_000),
      });
    }
    this.request = this.#send();
    holdBackSmallPieces(this.request);
    timer.arm(limits.connectTimeoutMs, () => options.onFailure('upstream_timeout', 'connect'));
    this.#watch();
    this.askedAt = performance.now();
  }

  /** Whether the service can have got any of it. */
  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** When its answer began; null before. */
  get answeredAt(): number | null {
    return this.#answeredAt;
  }

  /** The call is over. Idempotent, as is `destroy`. */
  leaveBreaker(outcome: 'worked' | 'failed' | 'unknown'): void {
    if (!this.#isInBreaker) return;
    this.#isInBreaker = false;
    this.#options.upstream.breaker.leave(outcome);
  }

  destroy(): void {
    this.request.destroy();
  }

  #send(): ClientRequest {
    const { upstream, method, path, headers, length } = this.#options;
    const { 'content-length': _, ...sent } = requestHeaders(headers, upstream);
    if (length !== undefined) sent['content-length'] = length;
    try {
      const { target, agent } = upstream;
      const send = target.protocol === 'https:' ? httpsRequest : httpRequest;
      return send({ ...target, path: `${target.path}${path}`, method, headers: sent, agent });
    } catch {
      this.leaveBreaker('unknown');
      throw new GatewayError('invalid_headers', 'The request has headers or a query that HTTP/1.1 does not allow.');
    }
  }

  #watch(): void {
    const { request } = this;
    const { onConnected, onFailure, onResponse } = this.#options;
    request.once('socket', (socket) => {
      const connected = (): void => {
        this.#isConnected = true;
        onConnected();
        this.#awaitFirstByte();
      };
      if (request.reusedSocket) connected();
      else socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', connected);
    });
    request.on('error', (error) =>
      onFailure('upstream_unreachable', 'code' in error ? String(error.code) : error.name),
    );
    request.once('response', (response) => {
      this.#answeredAt = performance.now();
      this.leaveBreaker(downStatuses.includes(response.statusCode ?? 502) ? 'failed' : 'worked');
      onResponse(response);
    });
  }

  #awaitFirstByte(): void {
    const { timer, limits, onFailure } = this.#options;
    if (this.#answeredAt === null)
      timer.arm(limits.firstByteTimeoutMs, () => onFailure('upstream_timeout', 'first byte'));
  }
}
