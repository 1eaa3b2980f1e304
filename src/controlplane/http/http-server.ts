import type { IncomingMessage, RequestListener, Server } from 'node:http';
import { createServer } from '../../kernel/node-http.ts';
import type { PreviewGateway } from '../previews/preview-gateway.ts';
import type { OpenConnections } from './open-connections.ts';

interface HttpServerOptions {
  readonly api: RequestListener;
  readonly previews: PreviewGateway;
  readonly connections: OpenConnections;
}

/**
 * One server for the API and for previews. The Host header tells them apart before anything else of a request is looked at:
 * neither is reachable under the other's names.
 */
export function createHttpServer({ api, previews, connections }: HttpServerOptions): Server {
  // Node's own bound of the time to receive a request would cut long uploads; `boundBodyTime` holds calls to theirs.
  const options = { requestTimeout: 0, headersTimeout: 15_000, keepAliveTimeout: 30_000, maxHeaderSize: 64 * 1_024 };
  // All else is answered as if it had not asked: also a handshake on a connection that owes an answer, which would be lost.
  const shouldUpgradeCallback = (request: IncomingMessage): boolean =>
    isHandshake(request) && !connections.isBusy(request.socket);
  const server = createServer({ ...options, shouldUpgradeCallback });
  connections.serve(server, (request, response) => {
    if (previews.covers(request.headers.host)) return previews.handle(request, response);
    api(request, response);
  });
  return server;
}

/** Of a WebSocket: some clients offer other protocols (`h2c`) with requests that they mean for HTTP/1.1. */
function isHandshake({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket';
}
