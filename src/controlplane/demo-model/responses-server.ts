import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { z } from 'zod';
import { CaissonError } from '../../kernel/errors.ts';
import { createServer } from '../../kernel/node-http.ts';
import { parseModelRequest, type ModelRequest } from './responses-request.ts';
import { refuse, type Exchange } from './responses-answer.ts';

export interface ResponsesServerOptions {
  /** Answers one request. What it throws becomes HTTP 500, or a cut stream when the answer has begun. */
  readonly answer: (exchange: Exchange) => Promise<void>;
  /** The names that `GET /v1/models` lists. Requests may name any model. */
  readonly models: readonly string[];
}

export interface ResponsesServer {
  /** Ends in `/v1`: what Codex's `base_url` wants. */
  readonly baseUrl: string;
  /** Stops listening and cuts what is open. */
  close(): Promise<void>;
}

export interface ListenOptions {
  /** Default 0: a free port. */
  readonly port?: number;
  /** A loopback address. Default 127.0.0.1. */
  readonly host?: string;
}

/** Longest request body, in bytes. Codex sends about 60 KB and the conversation. */
const MAX_BODY_BYTES = 32 * 1024 * 1024;
const MAX_CONNECTIONS = 512;

/**
 * Serves `POST /v1/responses` and `GET /v1/models` on a loopback address.
 *
 * @throws CaissonError CONFIG_INVALID for a host that is not loopback or a port that cannot be had.
 */
export async function listenForResponses(
  options: ResponsesServerOptions,
  { port = 0, host = '127.0.0.1' }: ListenOptions = {},
): Promise<ResponsesServer> {
  if (!isLoopback(host)) {
    throw new CaissonError('CONFIG_INVALID', `The scripted model listens on loopback only, not on ${host}.`);
  }
  const server = createServer((message, response) => void serve(message, response, options));
  server.maxConnections = MAX_CONNECTIONS;
  // Longer than the callers' pools keep a connection, so that none is closed just as it is used again.
  server.keepAliveTimeout = 120_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new CaissonError('CONFIG_INVALID', `The scripted model cannot listen on ${host}:${port}.`, { cause }));
    });
    server.listen({ port, host }, resolve);
  });
  const address = server.address();
  const boundPort = typeof address === 'object' && address !== null ? address.port : port;
  return {
    baseUrl: `http://${isIP(host) === 6 ? `[${host}]` : host}:${boundPort}/v1`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Never rejects: whatever goes wrong is told to the caller, or the connection is cut. */
async function serve(
  message: IncomingMessage,
  response: ServerResponse,
  options: ResponsesServerOptions,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  try {
    const path = new URL(message.url ?? '/', 'http://loopback').pathname;
    if (message.method === 'GET' && path === '/v1/models') return listModels(response, options.models);
    if (message.method !== 'POST' || path !== '/v1/responses') {
      return refuse(response, 404, { message: `There is no ${message.method ?? ''} ${path} here.`, code: 'not_found' });
    }
    const body = await readBody(message);
    if (body === null) {
      const error = { message: 'The body is too large.', code: 'body_too_large' };
      return refuse(response, 413, error, { connection: 'close' });
    }
    const request = readRequest(body);
    if (typeof request === 'string') return refuse(response, 400, { message: request, code: 'invalid_body' });
    await options.answer({ request, headers: message.headers, response, signal: gone.signal });
  } catch (thrown) {
    if (gone.signal.aborted) return;
    if (response.headersSent) response.destroy();
    else refuse(response, 500, { message: `The scripted model failed: ${String(thrown)}`, code: 'server_error' });
  }
}

function listModels(response: ServerResponse, models: readonly string[]): void {
  const data = models.map((id) => ({ id, object: 'model', created: 0, owned_by: 'caisson' }));
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ object: 'list', data }));
}

/** The request, or a sentence that says what is wrong with it. */
function readRequest(body: string): ModelRequest | string {
  try {
    return parseModelRequest(JSON.parse(body), body.length);
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return 'The body is not JSON.';
    if (thrown instanceof z.ZodError) return `The body is not a Responses request: ${z.prettifyError(thrown)}`;
    throw thrown;
  }
}

/** The body as text, or null when it is longer than allowed. */
async function readBody(message: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of message.iterator({ destroyOnReturn: false })) {
    if (!Buffer.isBuffer(chunk)) throw new TypeError('The request stream is not binary.');
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
