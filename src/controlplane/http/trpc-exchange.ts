import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CaissonError } from '../../kernel/errors.ts';
import { ApiContext } from '../api/api-context.ts';
import type { HeldBytes, Holding } from '../api/held-bytes.ts';
import type { OpenCalls, Place } from '../api/open-calls.ts';
import type { ApiServices } from '../api/services.ts';
import type { Principal } from '../auth/identity.ts';
import type { Admit, Identify } from './admit.ts';
import { retryAfter } from './refusals.ts';

export interface TrpcExchangeOptions {
  readonly services: ApiServices;
  readonly admit: Admit;
  readonly identify: Identify;
  /** Those under way; subscriptions count themselves. */
  readonly calls: OpenCalls;
  /** Bodies, and answers until they are taken. */
  readonly held: HeldBytes;
  /** Of who sent a request. */
  readonly addressOf: (request: IncomingMessage) => string;
}

/**
 * A request to the API, from its head until its answer is taken. When its caller is known, once for all calls of a batch, each call
 * has its place, and what the request makes the control plane hold is counted; all of it is given back at the end.
 */
export class TrpcExchange {
  readonly context: ApiContext;
  readonly #options: TrpcExchangeOptions;
  readonly #request: FastifyRequest;
  readonly #reply: FastifyReply;
  /** How many calls it makes that do not count themselves. */
  readonly #size: number;
  readonly #over = new AbortController();
  readonly #taken = new DisposableStack();
  readonly #places: Place[] = [];
  /** How many calls have named their agent. */
  #named = 0;
  #holding: Holding | undefined;
  #bodyBytes = 0;
  #resultBytes = 0;

  constructor(request: FastifyRequest, reply: FastifyReply, size: number, options: TrpcExchangeOptions) {
    this.#options = options;
    this.#request = request;
    this.#reply = reply;
    this.#size = size;
    this.context = new ApiContext({
      requestId: request.id,
      services: options.services,
      address: options.addressOf(request.raw),
      identify: () => options.identify(request.raw),
      authenticate: () => this.#enter(),
      keepResult: (data) => this.#keepResult(data),
      about: (agentId) => this.#places[this.#named++]?.about(agentId),
    });
    const end = (): void => {
      // Of a call that was answered, nothing is under way.
      if (!reply.raw.writableFinished) this.#over.abort(callerLeft());
      this.#taken.dispose();
    };
    if (reply.raw.closed) end();
    else reply.raw.once('close', end);
  }

  /** Aborts when the caller leaves before it has its answer, or its key is revoked. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /**
   * Before any of the body is read: its sender must be known, and have room for all of it.
   *
   * @throws CaissonError UNAUTHORIZED, RATE_LIMITED, TOO_MANY_CONNECTIONS or DRAINING.
   */
  async admitBody(): Promise<void> {
    await this.context.authenticate();
    const { headers, routeOptions } = this.#request;
    const most = routeOptions.bodyLimit ?? Infinity;
    this.holdBody(Math.min(Number(headers['content-length'] ?? most), most));
  }

  /**
   * Nothing is counted where nobody had to be known.
   *
   * @throws CaissonError TOO_MANY_CONNECTIONS
   */
  holdBody(bytes: number): void {
    this.#holding?.set(bytes);
    this.#bodyBytes = bytes;
  }

  /**
   * The whole answer, in the place of results.
   *
   * @throws CaissonError TOO_MANY_CONNECTIONS; LIMIT_REACHED in the place of what may not be repeated as if it had not been made.
   */
  holdAnswer(bytes: number): void {
    try {
      this.#holding?.set(this.#bodyBytes + bytes);
    } catch (thrown) {
      if (this.#request.method === 'GET' || !(thrown instanceof CaissonError)) throw thrown;
      const { hint, details } = thrown;
      throw new CaissonError('LIMIT_REACHED', `${thrown.message} The call was made, and its answer dropped.`, {
        hint,
        details,
      });
    }
  }

  /** In a batch the first result waits for the last one. */
  #keepResult(data: unknown): void {
    if (this.#size <= 1 || this.#holding === undefined) return;
    const bytes = this.#resultBytes + Buffer.byteLength(JSON.stringify(data) ?? '');
    this.holdAnswer(bytes);
    this.#resultBytes = bytes;
  }

  async #enter(): Promise<Principal> {
    const { admit, calls, held } = this.#options;
    const principal = await admit(this.#request.raw, Math.max(1, this.#size)).catch((thrown: unknown) => {
      void this.#reply.headers(retryAfter(thrown));
      throw thrown;
    });
    if (this.#taken.disposed) throw callerLeft(); // what is taken after the end is never given back
    for (let each = 0; each < this.#size; each++) {
      this.#places.push(this.#taken.use(calls.enterWith(principal, this.#over)));
    }
    this.#holding = this.#taken.use(held.of(principal));
    return principal;
  }
}

function callerLeft(): CaissonError {
  return new CaissonError('ABORTED', 'The caller has left.');
}
