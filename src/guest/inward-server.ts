import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { CaissonError, errorText, toCaissonError } from '../kernel/errors.ts';
import type { Logger } from '../kernel/logger.ts';
import { inwardServerOptions } from '../wire/http2-settings.ts';
import type { KeepAliveOptions } from '../wire/keep-alive.ts';
import { serveHttp2 } from '../wire/serve-http2.ts';
import type { WireSession } from '../wire/wire-session.ts';
import { answerError, type Route } from './inward-call.ts';

export interface InwardServerOptions {
  readonly routes: readonly Route[];
  readonly logger: Logger;
  readonly keepAlive?: KeepAliveOptions | undefined;
}

/** What the control plane asks of the guest. Returns what takes a new inward connection. */
export function createInwardServer(options: InwardServerOptions): (socket: Socket) => WireSession {
  const { routes } = options;
  const answer = async (stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> => {
    try {
      await dispatch(routes, stream, headers);
    } catch (thrown) {
      if (stream.destroyed) return; // nobody hears the answer
      const error = toCaissonError(thrown);
      if (error.code === 'INTERNAL') {
        options.logger.error({ path: headers[':path'], error: errorText(thrown) }, 'an inward request failed');
      }
      answerError(stream, error);
    }
  };
  return (socket) =>
    serveHttp2(socket, {
      handler: (stream, headers) => void answer(stream, headers),
      bounds: inwardServerOptions,
      keepAlive: options.keepAlive,
    });
}

async function dispatch(
  routes: readonly Route[],
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
): Promise<void> {
  const [path = '', search = ''] = (headers[':path'] ?? '').split('?', 2);
  for (const route of routes) {
    const params = route.method === headers[':method'] ? matchPath(route.path, path) : undefined;
    if (params === undefined) continue;
    await route.handle({ stream, headers, params, query: new URLSearchParams(search) });
    return;
  }
  throw new CaissonError('BAD_REQUEST', `The guest has no ${headers[':method'] ?? 'request'} ${path}.`);
}

function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  if (pattern === path) return {};
  const expected = pattern.split('/');
  const given = path.split('/');
  if (expected.length !== given.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, segment] of expected.entries()) {
    const value = given[index] ?? '';
    if (segment.startsWith(':')) params[segment.slice(1)] = value;
    else if (segment !== value) return undefined;
  }
  return params;
}
