import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { PreviewGateway } from '../previews/preview-gateway.ts';

interface HttpServerOptions {
  readonly api: RequestListener;
  readonly previews: PreviewGateway;
}

/** Time to receive the body of a call; transfers of files and requests of previewed apps take as long as they like. */
const callTimeoutMs = 60_000;

/**
 * One server for the API and for previews. The Host header tells them apart before anything else of a request is looked at:
 * neither is reachable under the other's names.
 */
export function createHttpServer({ api, previews }: HttpServerOptions): Server {
  const options = { requestTimeout: 0, headersTimeout: 15_000, keepAliveTimeout: 30_000, maxHeaderSize: 64 * 1_024 };
  return createServer(options, (request, response) => {
    if (previews.covers(request.headers.host)) return previews.handle(request, response);
    if (request.url?.startsWith('/trpc/') === true) limitBody(request);
    api(request, response);
  });
}

function limitBody(request: IncomingMessage): void {
  const timer = setTimeout(() => {
    if (!request.complete) request.socket.destroy();
  }, callTimeoutMs);
  timer.unref();
  request.once('close', () => clearTimeout(timer));
}
