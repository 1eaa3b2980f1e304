import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { createProxyServer } from 'httpxy';
import { CaissonError, errorText } from '../../kernel/errors.ts';
import { STATUS_CODES } from '../../kernel/node-http.ts';
import { gatherSmallPieces, holdBackSmallPieces } from '../../wire/small-pieces.ts';
import type { LivePreview } from './live-preview.ts';
import { appResponseHeaders } from './response-headers.ts';

interface PreviewProxyOptions {
  /** Answers at once for an app that gave no sound answer; of one that broke off, the visitor's connection is cut already. */
  readonly onError: (error: Error, request: IncomingMessage, response: ServerResponse | Socket) => void;
}

export interface PreviewProxy {
  /** `request` must have the headers and the path that the app is to get. */
  web(request: IncomingMessage, response: ServerResponse, live: Pick<LivePreview, 'connections'>): void;
  /** The same for a request to become a WebSocket. */
  upgrade(request: IncomingMessage, socket: Socket, head: Buffer, live: Pick<LivePreview, 'connections'>): void;
}

/** How long an app may take from the end of a request to the first byte of its answer. */
const answerTimeoutMs = 5 * 60_000;

/** The name never leaves this process: the connection is the preview's, and the Host header the visitor's. */
const target = 'http://127.0.0.1';

/** Passes requests on to apps, streaming both ways. An answer that HTTP cannot carry is none. */
export function createPreviewProxy({ onError }: PreviewProxyOptions): PreviewProxy {
  const proxy = createProxyServer({ target });
  const closing = new WeakSet<IncomingMessage>();
  const retry = new WeakMap<IncomingMessage, () => void>();
  const answers = new WeakMap<IncomingMessage, IncomingMessage>();

  proxy.on('proxyReq', (outgoing, request, response) => {
    expectAnswer(outgoing);
    holdBackSmallPieces(outgoing);
    if (!outgoing.reusedSocket) retry.delete(request);
    // A client that left while it waited for a connection.
    if (response.destroyed) outgoing.destroy();
    outgoing.once('upgrade', (_answer, connection) => {
      connection.destroy();
      onError(unsound('It changed to another protocol, which nobody asked for.'), request, response);
    });
  });
  proxy.on('proxyReqWs', (outgoing, request, socket) => {
    expectAnswer(outgoing);
    socket.once('close', () => outgoing.destroy());
    holdBackSmallPieces(socket);
    outgoing.once('response', (answer) => {
      gatherSmallPieces(answer);
      answers.set(request, answer);
      // The visitor's half of the connection has no reader.
      socket.once('finish', () => socket.destroy());
      const { statusCode = 0, headers } = answer;
      if (!isFinalStatus(statusCode)) return onError(unsoundStatus(statusCode), request, socket);
      answer.statusMessage = STATUS_CODES[statusCode] ?? 'unknown';
      const isChunked = headers['transfer-encoding'] !== undefined;
      answer.headers = { ...appResponseHeaders(answer), ...(isChunked && { 'transfer-encoding': 'chunked' }) };
    });
    outgoing.once('upgrade', (answer, connection) => {
      answers.set(request, answer);
      answer.headers = { ...appResponseHeaders(answer), connection: 'Upgrade', upgrade: 'websocket' };
      gatherSmallPieces(socket);
      holdBackSmallPieces(connection);
      // Pipes pass on an end, not a break.
      socket.once('close', () => connection.destroy());
      connection.once('close', () => socket.destroySoon());
    });
  });
  proxy.on('proxyRes', (answer, request, response) => {
    if (response.headersSent) return;
    answers.set(request, answer);
    const { statusCode = 0 } = answer;
    // The library would leave open what its client wants closed.
    const connection = closing.has(request) ? 'close' : 'keep-alive';
    try {
      if (!isFinalStatus(statusCode)) throw unsoundStatus(statusCode);
      // Here and not by the library, where it would throw out of an event: the app's words for the status are not passed on.
      response.writeHead(statusCode, { ...appResponseHeaders(answer), connection });
    } catch (thrown) {
      answer.destroy();
      return onError(thrown instanceof Error ? thrown : unsound(errorText(thrown)), request, response);
    }
    gatherSmallPieces(answer);
    holdBackSmallPieces(response);
    // What comes in one piece leaves in one piece; a stream that has nothing to say yet has begun all the same.
    setImmediate(() => {
      if (!response.destroyed) response.flushHeaders();
    });
  });
  proxy.on('error', (error, request, response) => {
    if (request === undefined || response === undefined) return;
    const again = retry.get(request);
    retry.delete(request);
    const answer = answers.get(request);
    if (response.destroyed) return;
    if (answer?.complete === true) return; // what an app says behind its answer is nobody's loss
    if (answer !== undefined) response.destroy();
    else if (again !== undefined && isReset(error)) again();
    else onError(error, request, response);
  });

  const web: PreviewProxy['web'] = (request, response, live) => {
    const body = isFramed(request) ? {} : { buffer: emptyBody() };
    proxy.web(request, response, { agent: live.connections, ...body }).catch(() => response.destroy()); // the visitor's side broke
  };
  return {
    web(request, response, live) {
      if (!response.shouldKeepAlive) closing.add(request);
      // An app may close a connection just when it is used again: then it has not seen the request.
      if (isRepeatable(request)) retry.set(request, () => web(request, response, live));
      gatherSmallPieces(request);
      web(request, response, live);
    },
    upgrade(request, socket, head, live) {
      proxy.ws(request, socket, { agent: live.connections }, head).catch(() => socket.destroy());
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

/** Node takes those below 200 for no answer, and has no way to pass on what is below 100. */
function isFinalStatus(status: number): boolean {
  return status >= 200 && status <= 999;
}

function unsoundStatus(status: number): CaissonError {
  return unsound(`It answered with the status ${status}.`);
}

function unsound(message: string): CaissonError {
  return new CaissonError('GUEST_PROTOCOL', message, { hint: "Look at the app's own log." });
}

/** Whether the app can tell where the body ends. */
function isFramed({ headers }: IncomingMessage): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
}

/**
 * In place of a body without framing. Node would write one as it comes for some methods, and the app take it for the next
 * request on a connection that all visitors share.
 */
function emptyBody(): Readable {
  return new Readable({
    read() {
      this.push(null);
    },
  });
}

/** Without a body, of which a part may be gone. */
function isRepeatable({ method, headers }: IncomingMessage): boolean {
  const hasBody = headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
  return (method === 'GET' || method === 'HEAD') && !hasBody;
}

function isReset(error: Error): boolean {
  return 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
}
