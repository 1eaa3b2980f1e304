import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { createProxyServer } from 'httpxy';
import { CaissonError } from '../../kernel/errors.ts';
import type { LivePreview } from './live-preview.ts';
import { appResponseHeaders } from './response-headers.ts';

interface PreviewProxyOptions {
  /** Answers for an app that gave no answer; of one that broke off, the visitor's connection is cut already. */
  readonly onError: (error: Error, request: IncomingMessage, response: ServerResponse | Socket) => void;
}

export interface PreviewProxy {
  /** `request` must have the headers and the path that the app is to get. */
  web(request: IncomingMessage, response: ServerResponse, live: LivePreview): void;
  /** The same for a request to become a WebSocket. */
  upgrade(request: IncomingMessage, socket: Socket, head: Buffer, live: LivePreview): void;
}

/** How long an app may take from the end of a request to the first byte of its answer. */
const answerTimeoutMs = 5 * 60_000;

/** The name never leaves this process: the connection is the preview's, and the Host header the visitor's. */
const target = 'http://127.0.0.1';

/** Passes requests on to apps, streaming both ways. */
export function createPreviewProxy({ onError }: PreviewProxyOptions): PreviewProxy {
  const proxy = createProxyServer({ target });
  const closing = new WeakSet<IncomingMessage>();
  const retry = new WeakMap<IncomingMessage, () => void>();

  proxy.on('proxyReq', (outgoing, request, response) => {
    expectAnswer(outgoing);
    if (!outgoing.reusedSocket) retry.delete(request);
    // A client that left while it waited for a connection.
    if (response.destroyed) outgoing.destroy();
  });
  proxy.on('proxyReqWs', (outgoing, _request, socket) => {
    expectAnswer(outgoing);
    socket.once('close', () => outgoing.destroy());
    outgoing.once('upgrade', (_answer, connection) => {
      // Pipes pass on an end, not a break.
      socket.once('close', () => connection.destroy());
      connection.once('close', () => socket.destroySoon());
    });
  });
  proxy.on('proxyRes', (answer, request, response) => {
    // The library would leave open what its client wants closed.
    answer.headers = { ...appResponseHeaders(answer), connection: closing.has(request) ? 'close' : 'keep-alive' };
    // What comes in one piece leaves in one piece; a stream that has nothing to say yet has begun all the same.
    setImmediate(() => {
      if (!response.headersSent && !response.destroyed) response.flushHeaders();
    });
  });
  proxy.on('error', (error, request, response) => {
    if (request === undefined || response === undefined) return;
    const again = retry.get(request);
    retry.delete(request);
    if (again !== undefined && !isAnswered(response) && isReset(error)) again();
    else onError(error, request, response);
  });

  const web: PreviewProxy['web'] = (request, response, live) => {
    void proxy.web(request, response, { agent: live.connections });
  };
  return {
    web(request, response, live) {
      if (!response.shouldKeepAlive) closing.add(request);
      // An app may close a connection just when it is used again: then it has not seen the request.
      if (request.method === 'GET' || request.method === 'HEAD') retry.set(request, () => web(request, response, live));
      web(request, response, live);
    },
    upgrade(request, socket, head, live) {
      void proxy.ws(request, socket, { agent: live.connections }, head);
    },
  };
}

function expectAnswer(outgoing: ClientRequest): void {
  let timer: NodeJS.Timeout | undefined;
  const stop = (): void => clearTimeout(timer);
  outgoing.once('finish', () => {
    timer = setTimeout(() => {
      outgoing.destroy(
        new CaissonError('DEADLINE_EXCEEDED', `The app has not answered within ${answerTimeoutMs / 60_000} minutes.`),
      );
    }, answerTimeoutMs);
    timer.unref();
  });
  for (const event of ['response', 'upgrade', 'close'] as const) outgoing.once(event, stop);
}

function isAnswered(response: ServerResponse | Socket): boolean {
  return response instanceof Socket || response.headersSent || response.destroyed;
}

function isReset(error: Error): boolean {
  return 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
}
