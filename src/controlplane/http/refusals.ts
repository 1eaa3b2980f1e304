import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { getErrorShape } from '@trpc/server/shared';
import type { FastifyReply } from 'fastify';
import { errorTable } from '../../kernel/error-table.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { STATUS_CODES } from '../../kernel/node-http.ts';
import { appRouter } from '../api/app-router.ts';
import { toTrpcError } from '../api/error-mapping.ts';
import { pageHeaders, renderPage } from '../login/pages/page.ts';
import { escapeHtml } from './escape-html.ts';
import { hijack } from './hijack.ts';
import type { PreviewHosts } from '../previews/preview-hosts.ts';

/** An answer to a request that does not reach a procedure. */
export interface Refusal {
  readonly status: number;
  readonly error: CaissonError;
}

/** Whatever Fastify or one of our hooks threw. What is not the caller's fault becomes INTERNAL. */
export function refusalOf(thrown: unknown): Refusal {
  if (thrown instanceof CaissonError) return { status: errorTable[thrown.code].http, error: thrown };
  const { code, status } = fastifyError(thrown);
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return { status: 415, error: new CaissonError('BAD_REQUEST', 'The request body must be application/json.') };
  }
  if (status >= 400 && status < 500)
    return { status, error: new CaissonError('BAD_REQUEST', 'The request is not valid HTTP.') };
  return {
    status: 500,
    error: new CaissonError('INTERNAL', 'Something went wrong inside Caisson.', { cause: thrown }),
  };
}

/** The header that says when a call that came too often may come again; none for any other error. */
export function retryAfter(thrown: unknown): { readonly 'retry-after'?: string } {
  if (!(thrown instanceof CaissonError) || thrown.code !== 'RATE_LIMITED') return {};
  const { retryAfterMs } = thrown.details;
  return typeof retryAfterMs === 'number' ? { 'retry-after': String(Math.ceil(retryAfterMs / 1_000)) } : {};
}

/** What is read of a request that was refused while it came. Its sender waits then, with the answer before it. */
const lingerBytes = 8 * 1_024 * 1_024;
const lingerMs = 2_000;

/**
 * In the form in which procedures refuse as well, so that a client reads every error alike; to a browser that opens an
 * address as a page. Where the request has not come in whole, the connection is closed: what is left of it has no reader. Not
 * at once: to close over bytes that nobody read is a reset, which takes the answer from the hands of a sender.
 */
export async function sendRefusal(reply: FastifyReply, { status, error }: Refusal): Promise<void> {
  const { raw: response } = reply;
  const { raw: request } = reply.request;
  const isWhole = request.complete || response.closed;
  void reply.code(status).headers(retryAfter(error));
  if (isWhole && request.method === 'GET' && /\btext\/html\b/.test(request.headers.accept ?? '')) {
    await reply.headers(pageHeaders).send(refusalPage({ status, error }));
    return;
  }
  const text = refusalText({ status, error });
  void reply.type('application/json; charset=utf-8');
  if (isWhole) {
    await reply.send(text);
    return;
  }
  void reply.header('connection', 'close').header('content-length', Buffer.byteLength(text));
  hijack(reply).writeHead(status).write(text); // all of the answer; to end it would be to close
  discard(request, () => response.end());
}

/** Calls `done` when the request came in whole, its sender has left, or `lingerMs` have passed. */
function discard(request: IncomingMessage, done: () => void): void {
  let taken = 0;
  const limit = setTimeout(done, lingerMs);
  const end = (): void => {
    clearTimeout(limit);
    done();
  };
  request.on('data', (chunk: Buffer) => {
    taken += chunk.length;
    if (taken > lingerBytes) request.pause();
  });
  request.once('end', end).once('close', end).resume();
}

/** For bytes that are not HTTP, or came too late. `hosts`: of previews, for a request whose headers are too large. */
export function writeRawRefusal(socket: Socket, error: Error, hosts?: Pick<PreviewHosts, 'covers' | 'domain'>): void {
  if (socket.destroyed || !socket.writable || ('code' in error && error.code === 'ECONNRESET')) {
    socket.destroy();
    return;
  }
  const code = 'code' in error ? error.code : undefined;
  if (code === 'HPE_HEADER_OVERFLOW' && hosts !== undefined && hosts.covers(hostIn(error) ?? hosts.domain)) {
    const text = `The headers of the request are too large. In a browser, delete the cookies of ${hosts.domain}: an app has set too many for all previews.\n`;
    writeAnswer(socket, { status: 431, type: 'text/plain', text });
    return;
  }
  const status = code === 'HPE_HEADER_OVERFLOW' ? 431 : code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
  writeRefusal(socket, { status, error: new CaissonError('BAD_REQUEST', 'The request is not valid HTTP.') });
}

/** Where there is no reply to send it with, such as a request to upgrade. */
export function writeRefusal(socket: Duplex, { status, error }: Refusal): void {
  writeAnswer(socket, {
    status,
    type: 'application/json',
    text: refusalText({ status, error }),
    headers: retryAfter(error),
  });
}

function writeAnswer(
  socket: Duplex,
  {
    status,
    type,
    text,
    headers = {},
  }: {
    readonly status: number;
    readonly type: string;
    readonly text: string;
    readonly headers?: Readonly<Record<string, string>>;
  },
): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    `content-type: ${type}; charset=utf-8`,
    `content-length: ${Buffer.byteLength(text)}`,
    'connection: close',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  socket.once('finish', () => socket.destroy()); // whatever the other end still sends, and whether or not it ends
  socket.end(`${head.join('\r\n')}\r\n\r\n${text}`);
}

/** The host that a broken request names, as far as its last packet tells. Cookies that fill several come behind it. */
function hostIn(error: Error): string | undefined {
  const packet = 'rawPacket' in error && Buffer.isBuffer(error.rawPacket) ? error.rawPacket.toString('latin1') : '';
  return /^host:[ \t]*(\S+)/im.exec(packet)?.[1];
}

function refusalPage({ status, error }: Refusal): string {
  const body = `<p>${escapeHtml(`${error.message} ${error.hint}`)}</p>\n<p><a href="/">Start page</a></p>`;
  return renderPage({ title: STATUS_CODES[status] ?? 'Refused', body });
}

/** The body of a refusal. */
export function refusalText({ status, error }: Refusal): string {
  const shape = getErrorShape({
    config: appRouter._def._config,
    error: toTrpcError(error),
    type: 'unknown',
    path: undefined,
    input: undefined,
    ctx: undefined,
  });
  return JSON.stringify({ error: { ...shape, data: { ...shape.data, httpStatus: status } } });
}

function fastifyError(thrown: unknown): { readonly code: string | undefined; readonly status: number } {
  if (!(thrown instanceof Error)) return { code: undefined, status: 500 };
  const code = 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;
  const status = 'statusCode' in thrown && typeof thrown.statusCode === 'number' ? thrown.statusCode : 500;
  return { code, status };
}
