import { CaissonError, errorText } from '../kernel/errors.ts';
import { defaultCallMs } from './call-limits.ts';

export interface EndpointOptions {
  /** Where the control plane listens, e.g. `http://127.0.0.1:7070`. A path in front of it is kept. */
  readonly url: string;
  readonly apiKey: string;
  /** Default: the platform's `fetch`. */
  readonly fetch?: typeof globalThis.fetch;
  /**
   * The longest that a call may take, in milliseconds, then DEADLINE_EXCEEDED. Calls that wait by design have what they wait for
   * on top, and those that may have to start a sandbox two minutes. Default 60 s.
   */
  readonly callTimeoutMs?: number;
}

/** Where the control plane is and who is asking. Every request of the client goes through `fetch` here. */
export interface Endpoint {
  /** Without a slash at its end. */
  readonly url: string;
  readonly trpcUrl: string;
  /** The longest that a plain call may take. */
  readonly callMs: number;
  /** Adds the key, and turns a failure to reach the control plane into CONTROL_PLANE_UNREACHABLE. */
  fetch(url: string, init: RequestInit): Promise<Response>;
  /** Begins to open a WebSocket at a path of the control plane, with the key. */
  openWebSocket(path: string): WebSocket;
}

export function createEndpoint(options: EndpointOptions): Endpoint {
  const url = checkedUrl(options.url);
  const send = options.fetch ?? globalThis.fetch;
  const authorization = `Bearer ${checkedKey(options.apiKey)}`;
  return {
    url,
    trpcUrl: `${url}/trpc`,
    callMs: options.callTimeoutMs ?? defaultCallMs,
    async fetch(target, init) {
      const headers = new Headers(init.headers);
      headers.set('authorization', authorization);
      try {
        return await send(target, { ...init, headers });
      } catch (cause) {
        throw callFailed(url, cause, init.signal ?? undefined);
      }
    },
    openWebSocket(path) {
      // Browsers let nobody set headers here, so the key is offered as a subprotocol.
      const key = btoa(options.apiKey).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
      return new WebSocket(`${url.replace(/^http/, 'ws')}${path}`, [
        'caisson.v1',
        `base64url.bearer.authorization.caisson.${key}`,
      ]);
    },
  };
}

/** What a call that got no answer means: the caller gave it up, or nobody is there. */
export function callFailed(url: string, cause: unknown, signal?: AbortSignal): CaissonError {
  if (cause instanceof CaissonError) return cause;
  if (signal?.aborted === true) return new CaissonError('ABORTED', 'The call was given up before its answer came.');
  return unreachable(url, networkReason(cause), cause);
}

/** `why` is one clause without a full stop, such as `connection refused`. */
export function unreachable(url: string, why: string, cause?: unknown): CaissonError {
  return new CaissonError('CONTROL_PLANE_UNREACHABLE', `No control plane answers at ${url}: ${why}.`, {
    details: { url },
    cause,
  });
}

/** Why the control plane closes a WebSocket of its own accord, where it says so. */
export function socketClosed(code: number, reason: string): CaissonError | undefined {
  if (code === 1001) return new CaissonError('DRAINING', reason || 'The control plane is shutting down.');
  if (code === 1008) return new CaissonError('UNAUTHORIZED', reason || 'The API key is no longer accepted.');
  if (code === 1013) return new CaissonError('TOO_MANY_CONNECTIONS', reason || 'Too many connections are open.');
  return undefined;
}

/** A control plane that answers calls and refuses WebSockets, which tell nobody why. */
export function socketRefused(url: string): CaissonError {
  return new CaissonError('CONTROL_PLANE_UNREACHABLE', `The control plane at ${url} answers, but not to a WebSocket.`, {
    hint: 'A proxy in front of it has to pass WebSockets on.',
    details: { url },
  });
}

/** An answer that Caisson would not give: another program, or a proxy in front of a control plane that is down. */
export function notCaisson(url: string, response: Response): CaissonError {
  const type = response.headers.get('content-type')?.split(';')[0] ?? 'no content type';
  return new CaissonError(
    'CONTROL_PLANE_UNREACHABLE',
    `What answers at ${url} is not a Caisson control plane (HTTP ${response.status}, ${type}).`,
    { hint: 'Check CAISSON_URL, or the `url` given to the client.', details: { url, status: response.status } },
  );
}

const networkReasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'unknown host',
  EAI_AGAIN: 'the name cannot be resolved now',
  ETIMEDOUT: 'connection timed out',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'no route to network',
  UND_ERR_CONNECT_TIMEOUT: 'connection timed out',
  UND_ERR_HEADERS_TIMEOUT: 'it did not answer as long as this platform waits',
  UND_ERR_SOCKET: 'connection closed',
};

// Node's fetch says only "fetch failed"; the reason is the `code` of its cause. Browsers tell no reason at all.
export function networkReason(thrown: unknown): string {
  const cause = thrown instanceof Error ? (thrown.cause ?? thrown) : thrown;
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined;
  if (typeof code === 'string') return networkReasons[code] ?? code;
  return errorText(cause).replace(/\.$/, '');
}

function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new CaissonError('CONFIG_INVALID', `\`${text}\` is not the URL of a control plane.`, {
      hint: 'Give an http or https URL, such as http://127.0.0.1:7070.',
    });
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

function checkedKey(key: string): string {
  if (/^[\x21-\x7e]+$/.test(key)) return key;
  throw new CaissonError('CONFIG_INVALID', 'The API key is empty or holds characters that no key has.', {
    hint: 'Copy the key again. Administrators make keys with `caisson keys create`.',
  });
}
