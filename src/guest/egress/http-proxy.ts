import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { errorTable } from '../../kernel/error-table.ts';
import { CaissonError, toCaissonError } from '../../kernel/errors.ts';
import { endToEndHeaders } from '../../wire/end-to-end-headers.ts';
import { type EgressDialer, goneWith, join } from './egress-dialer.ts';

// An `import` of this module loads Node's fetch as well, which takes 15 ms at every start of a sandbox.
const { createServer, request: startRequest } = process.getBuiltinModule('node:http');

/** More than may be connected: those above hear at once why not. */
const maxConnections = 1_024;
const maxHeaderBytes = 32 * 1024;
const headersTimeoutMs = 30_000;
/** Longer than clients keep idle connections, so that none sends on one that is being closed here. */
const keepAliveTimeoutMs = 10 * 60_000;
const authority = /^(\[[\da-fA-F:.]+\]|[^:[\]]+):(\d{1,5})$/;

/**
 * The HTTP proxy that programs in the sandbox are pointed at: CONNECT, and requests in absolute form (`http://` only). What a
 * program is told when it may not is in the status, and in words in the body.
 */
export function createHttpProxy(dialer: EgressDialer): Server {
  const server = createServer({
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: headersTimeoutMs,
    requestTimeout: 0,
    keepAliveTimeout: keepAliveTimeoutMs,
    noDelay: true,
  });
  server.maxConnections = maxConnections;
  server.on('connect', (request, socket, head) => void connect(dialer, request, socket as Socket, head));
  server.on('request', (request, response) => {
    void forward(dialer, request, response).catch((thrown: unknown) => refuse(response, toCaissonError(thrown)));
  });
  return server;
}

async function connect(dialer: EgressDialer, request: IncomingMessage, program: Socket, head: Buffer): Promise<void> {
  program.on('error', () => undefined); // also emits 'close'
  try {
    const [, host, port] = authority.exec(request.url ?? '') ?? [];
    if (host === undefined || port === undefined) {
      throw new CaissonError('BAD_REQUEST', 'CONNECT must name a host and a port.');
    }
    if (head.length > 0) program.unshift(head);
    const tunnel = await dialer.connectFor(program, host, port);
    if (program.destroyed) {
      tunnel.destroy();
      return;
    }
    program.write('HTTP/1.1 200 Connection established\r\n\r\n');
    join(program, tunnel);
  } catch (thrown) {
    if (program.destroyed) return;
    const error = toCaissonError(thrown);
    const { http: status } = errorTable[error.code];
    const body = `${textOf(error)}\n`;
    program.end(
      `HTTP/1.1 ${status} ${error.code}\r\nContent-Type: text/plain; charset=utf-8\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    );
    program.resume(); // what it said before it heard of it: unread, it would keep the connection for ever
  }
}

async function forward(dialer: EgressDialer, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = URL.parse(request.url ?? '');
  if (url === null || url.protocol !== 'http:' || url.username !== '' || url.password !== '') {
    throw new CaissonError('BAD_REQUEST', 'This is a proxy: it takes http://<host>/… and CONNECT.');
  }
  const tunnel = await dialer.connect(url.hostname, url.port === '' ? '80' : url.port, goneWith(request.socket));
  response.once('close', () => tunnel.destroy());
  const isChunked = request.headers['transfer-encoding'] !== undefined;
  const isFramed = isChunked || request.headers['content-length'] !== undefined;
  const outgoing = startRequest({
    createConnection: () => tunnel,
    method: request.method ?? 'GET',
    path: url.pathname + url.search,
    setHost: false,
    headers: {
      ...endToEndHeaders(request.headers),
      host: url.host, // that of the address, whatever the header said (RFC 9112, 3.2.2)
      connection: 'close',
      ...(isChunked && { 'transfer-encoding': 'chunked' }),
    },
  });
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve);
    outgoing.on('error', (cause) => {
      reject(new CaissonError('EGRESS_UNREACHABLE', `${url.host} gave no sound answer.`, { cause }));
    });
  });
  if (isFramed) request.pipe(outgoing);
  else {
    request.resume();
    outgoing.end();
  }
  const answer = await answered;
  const headers = endToEndHeaders(answer.headers);
  response.writeHead(answer.statusCode ?? 502, headers);
  await pipeline(answer, response);
}

/** In words where nothing was said yet, else by a cut. */
function refuse(response: ServerResponse, error: CaissonError): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  response.writeHead(errorTable[error.code].http, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' });
  response.end(`${textOf(error)}\n`);
}

function textOf({ code, message, hint }: CaissonError): string {
  return `${code}: ${message} ${hint}`;
}
