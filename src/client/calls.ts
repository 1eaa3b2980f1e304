import {
  createTRPCClientProxy,
  httpLink,
  type TRPCClient,
  type TRPCRequestOptions,
  TRPCUntypedClient,
} from '@trpc/client';
import type { AppRouter } from './api.ts';
import { callError } from './call-error.ts';
import { notCaisson, type Endpoint } from './endpoint.ts';

/** The queries and mutations of the API. Every rejection is a CaissonError. */
export type Calls = TRPCClient<AppRouter>;

export function createCalls(endpoint: Endpoint): Calls {
  return createTRPCClientProxy<AppRouter>(new HouseErrorsClient(endpoint));
}

/** tRPC's client, with our errors in place of its own. */
class HouseErrorsClient extends TRPCUntypedClient<AppRouter> {
  readonly #url: string;

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
    this.#url = endpoint.url;
  }

  override async query(path: string, input?: unknown, options?: TRPCRequestOptions): Promise<unknown> {
    try {
      return await super.query(path, input, options);
    } catch (thrown) {
      throw callError(this.#url, thrown, options?.signal);
    }
  }

  override async mutation(path: string, input?: unknown, options?: TRPCRequestOptions): Promise<unknown> {
    try {
      return await super.mutation(path, input, options);
    } catch (thrown) {
      throw callError(this.#url, thrown, options?.signal);
    }
  }
}

/** The answers of a control plane are JSON; anything else came from somebody else. */
async function fetchJson(endpoint: Endpoint, url: string, init: RequestInit): Promise<Response> {
  const response = await endpoint.fetch(url, init);
  if ((response.headers.get('content-type') ?? '').startsWith('application/json')) return response;
  await response.body?.cancel();
  throw notCaisson(endpoint.url, response);
}
