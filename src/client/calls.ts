import { createTRPCClientProxy, type TRPCClient, type TRPCRequestOptions, TRPCUntypedClient } from '@trpc/client';
import type { AppRouter } from './api.ts';
import { CaissonError } from '../kernel/errors.ts';
import { answeredData } from './call-answer.ts';
import { callLimitMs } from './call-limits.ts';
import { callFailed, notCaisson, type Endpoint } from './endpoint.ts';

/**
 * The queries and mutations of the API. Every rejection is a CaissonError. None waits for ever: after the limit of a call
 * (`call-limits.ts`) it is DEADLINE_EXCEEDED.
 */
export type Calls = TRPCClient<AppRouter>;

export function createCalls(endpoint: Endpoint): Calls {
  return createTRPCClientProxy<AppRouter>(new PlainClient(endpoint));
}

/**
 * tRPC's client, with our errors, and without its links: each call is one request, for which observables and three signals take as
 * long as the request.
 */
class PlainClient extends TRPCUntypedClient<AppRouter> {
  readonly #endpoint: Endpoint;

  constructor(endpoint: Endpoint) {
    super({ links: [] });
    this.#endpoint = endpoint;
  }

  override async query(path: string, input?: unknown, options?: TRPCRequestOptions): Promise<unknown> {
    const hint = `${notAnswering} The call can be repeated.`;
    return await this.#call({ path, input, hint, options }, queryRequest);
  }

  override async mutation(path: string, input?: unknown, options?: TRPCRequestOptions): Promise<unknown> {
    const hint = `${notAnswering} Whether the call was carried out is not known: look before you repeat it.`;
    return await this.#call({ path, input, hint, options }, mutationRequest);
  }

  async #call({ path, input, hint, options }: Call, requestFor: RequestFor): Promise<unknown> {
    const { url, trpcUrl, callMs } = this.#endpoint;
    const limitMs = callLimitMs(path, input, callMs);
    const given = options?.signal;
    const over = new AbortController();
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      over.abort();
    }, limitMs);
    const leave = (): void => over.abort(given?.reason);
    if (given?.aborted === true) leave();
    else given?.addEventListener('abort', leave, { once: true });
    try {
      const { query = '', ...request } = requestFor(input);
      const target = `${trpcUrl}/${path}${query}`;
      const response = await this.#endpoint.fetch(target, { ...request, signal: over.signal });
      return answeredData(await jsonOf(url, response));
    } catch (thrown) {
      if (!isLate || given?.aborted === true) throw callFailed(url, thrown, given);
      const message = `The control plane at ${url} did not answer ${path} within ${limitMs / 1000} s.`;
      throw new CaissonError('DEADLINE_EXCEEDED', message, { hint, details: { path, limitMs } });
    } finally {
      clearTimeout(timer);
      given?.removeEventListener('abort', leave);
    }
  }
}

interface Call {
  readonly path: string;
  readonly input: unknown;
  readonly hint: string;
  readonly options: TRPCRequestOptions | undefined;
}

type RequestFor = (input: unknown) => Pick<RequestInit, 'method' | 'headers' | 'body'> & { readonly query?: string };

const queryRequest: RequestFor = (input) => ({
  method: 'GET',
  query: input === undefined ? '' : `?input=${encodeURIComponent(JSON.stringify(input))}`,
});

const mutationRequest: RequestFor = (input) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: input === undefined ? null : JSON.stringify(input),
});

const notAnswering = 'It may stand still or be overloaded, or the connection was silently cut: see whether it answers.';

/** The answers of a control plane are JSON; anything else came from somebody else. */
async function jsonOf(url: string, response: Response): Promise<unknown> {
  if ((response.headers.get('content-type') ?? '').startsWith('application/json')) return await response.json();
  await response.body?.cancel();
  throw notCaisson(url, response);
}
