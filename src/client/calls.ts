import {
  createTRPCClientProxy,
  httpLink,
  type TRPCClient,
  type TRPCRequestOptions,
  TRPCUntypedClient,
} from '@trpc/client';
import type { AppRouter } from './api.ts';
import { CaissonError } from '../kernel/errors.ts';
import { callError } from './call-error.ts';
import { callLimitMs } from './call-limits.ts';
import { notCaisson, type Endpoint } from './endpoint.ts';

/**
 * The queries and mutations of the API. Every rejection is a CaissonError. None waits for ever: after the limit of a call
 * (`call-limits.ts`) it is DEADLINE_EXCEEDED.
 */
export type Calls = TRPCClient<AppRouter>;

export function createCalls(endpoint: Endpoint): Calls {
  return createTRPCClientProxy<AppRouter>(new HouseErrorsClient(endpoint));
}

/** tRPC's client, with our errors in place of its own. */
class HouseErrorsClient extends TRPCUntypedClient<AppRouter> {
  readonly #endpoint: Endpoint;

  constructor(endpoint: Endpoint) {
    super({
      links: [
        httpLink({
          url: endpoint.trpcUrl,
          fetch: (url, { method = 'GET', headers = {}, body = null, signal = null } = {}) =>
            fetchJson(endpoint, String(url), { method, headers, body, signal }),
        }),
      ],
    });
    this.#endpoint = endpoint;
  }

  override async query(path: string, input?: unknown, options?: TRPCRequestOptions): Promise<unknown> {
    const hint = `${notAnswering} The call can be repeated.`;
    return await this.#within({ path, input, hint, options }, (bounded) => super.query(path, input, bounded));
  }

  override async mutation(path: string, input?: unknown, options?: TRPCRequestOptions): Promise<unknown> {
    const hint = `${notAnswering} Whether the call was carried out is not known: look before you repeat it.`;
    return await this.#within({ path, input, hint, options }, (bounded) => super.mutation(path, input, bounded));
  }

  async #within({ path, input, hint, options }: Call, call: (options: TRPCRequestOptions) => Promise<unknown>) {
    const { url, callMs } = this.#endpoint;
    const limitMs = callLimitMs(path, input, callMs);
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), limitMs);
    const given = options?.signal;
    const signal = given === undefined ? late.signal : AbortSignal.any([given, late.signal]);
    try {
      return await call({ ...options, signal });
    } catch (thrown) {
      if (!late.signal.aborted || given?.aborted === true) throw callError(url, thrown, given);
      const message = `The control plane at ${url} did not answer ${path} within ${limitMs / 1000} s.`;
      throw new CaissonError('DEADLINE_EXCEEDED', message, { hint, details: { path, limitMs } });
    } finally {
      clearTimeout(timer);
    }
  }
}

interface Call {
  readonly path: string;
  readonly input: unknown;
  readonly hint: string;
  readonly options: TRPCRequestOptions | undefined;
}

const notAnswering = 'It may stand still or be overloaded, or the connection was silently cut: see whether it answers.';

/** The answers of a control plane are JSON; anything else came from somebody else. */
async function fetchJson(endpoint: Endpoint, url: string, init: RequestInit): Promise<Response> {
  const response = await endpoint.fetch(url, init);
  if ((response.headers.get('content-type') ?? '').startsWith('application/json')) return response;
  await response.body?.cancel();
  throw notCaisson(endpoint.url, response);
}
