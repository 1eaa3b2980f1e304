import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Agent, createServer, request as startRequest } from '../../kernel/node-http.ts';
import { endToEndHeaders } from '../../wire/end-to-end-headers.ts';
import { gatherSmallPieces, holdBackSmallPieces } from '../../wire/small-pieces.ts';
import { type Ending, refusal } from './ending.ts';
import type { EgressTarget } from './ports.ts';
import { bodyMask, maskedHeaders } from './secrets/answer-mask.ts';
import type { Credential } from './secrets/credential.ts';
import { canonicalHost, targetText } from './target.ts';

interface Exchange {
  readonly target: EgressTarget;
  /** Connected to an address of the target that was checked. */
  readonly upstream: Socket;
  /** Called once for what is refused; the program is told so, and the connection ends. */
  readonly onRefused: (ending: Ending) => void;
  /** Over TLS, which both sides then are: what every request carries in place of what the program sent for it. */
  readonly carries?: Carries;
}

interface Carries extends Credential {
  /** Called for each request that carries it. */
  readonly onUsed: () => void;
}

interface Session extends Exchange {
  readonly agent: InstanceType<typeof Agent>;
  readonly heads: HeadWatch;
  /** Requests whose answer is not over. */
  waiting: number;
  /** What the host has not begun to answer. */
  readonly unanswered: Set<ClientRequest>;
  hasAnswered: boolean;
}

const maxHeaderBytes = 64 * 1024;
const maxHeaders = 256;
/** Requests of a program that wait for their answers (pipelining). apt sends 10; each takes far more memory here than it has bytes. */
const mostWaiting = 16;
const defaultPorts = { http: 80, https: 443 } as const;

/**
 * HTTP out of a sandbox: plain, or in TLS that ends here because a secret goes with it. Every request is read, held against the host that was allowed, and written anew, so that what
 * the host gets is what was checked: nothing can hide behind a request, in its framing or in its spelling. One connection of
 * a program is one connection to the host. Redirects are the program's to follow, as new connections.
 */
export class HttpRelay {
  readonly #server;
  readonly #sessions = new WeakMap<Duplex, Session>();
  readonly #headTimeoutMs: number;

  /** How long the head of a request may take, from its first byte. */
  constructor(headTimeoutMs: number) {
    this.#headTimeoutMs = headTimeoutMs;
    const server = createServer({
      maxHeaderSize: maxHeaderBytes,
      insecureHTTPParser: false,
      requireHostHeader: false, // said here, in our words
      keepAliveTimeout: 0, // the host says when, and the gateway when nobody has said anything for long
    });
    server.maxHeadersCount = maxHeaders;
    server.on('request', (request, response) => void this.#answer(request, response));
    server.on('clientError', (error: NodeJS.ErrnoException, program: Duplex) => {
      // Of the parser; else of the connection: the program has its answer, or was ended, or the wire broke. That is no refusal.
      if (error.code?.startsWith('HPE_') !== true) program.destroy();
      else this.#hangUp(program, refusal(`What was sent is no sound HTTP request (${error.code}).`));
    });
    server.on('connect', (_request, program) => this.#hangUp(program, refusal('The request is for a proxy.')));
    this.#server = server;
  }

  /** Takes both sides over. Over when `program` closes. */
  serve(program: Duplex, exchange: Exchange): void {
    const { upstream } = exchange;
    // What broke meanwhile emits 'close' no more.
    if (program.destroyed || upstream.destroyed) {
      program.destroy();
      upstream.destroy();
      return;
    }
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    let isTaken = false;
    agent.createConnection = (_options, callback) => {
      if (isTaken) {
        // Not thrown: the agent asks again, for a request that waits, when the connection has closed.
        callback?.(new Error('the host has closed the connection'), upstream);
        return undefined;
      }
      isTaken = true;
      return upstream;
    };
    this.#server.emit('connection', program);
    // After that: a parser takes a TLS socket for itself, until somebody else wants to hear what comes.
    const heads = new HeadWatch(program, this.#headTimeoutMs, () => {
      this.#hangUp(program, refusal('The head of a request has not come to its end in time.'));
    });
    const session: Session = { ...exchange, agent, heads, waiting: 0, unanswered: new Set(), hasAnswered: false };
    this.#sessions.set(program, session);
    program.once('close', () => {
      agent.destroy();
      upstream.destroy();
    });
    // What the host closes while nothing is asked is closed to the program, which then asks on a new connection.
    upstream.once('close', () => {
      for (const outgoing of session.unanswered) outgoing.destroy(); // in the agent they would wait for ever
      if (session.waiting === 0) program.end();
    });
    program.resume();
  }

  /** Ends the connection, with words where there is still somebody who reads them. */
  #hangUp(program: Duplex, ending: Ending): void {
    this.#sessions.get(program)?.onRefused(ending);
    if (program.writable) program.end(refusalText(ending), () => program.destroy());
    else program.destroy();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    gatherSmallPieces(request);
    const session = this.#sessions.get(request.socket);
    if (session === undefined || request.socket.destroyed) {
      response.destroy();
      return;
    }
    if (session.waiting === mostWaiting) {
      session.onRefused(refusal(`More than ${mostWaiting} requests wait for their answers on one connection.`));
      request.socket.destroy(); // without words: an answer may be under way
      return;
    }
    session.waiting++;
    response.once('close', () => {
      session.waiting--;
      if (session.waiting === 0 && session.upstream.closed) request.socket.end();
    });
    session.heads.began(response);
    const wall = wallAgainst(request, session);
    if (wall !== undefined) {
      session.onRefused(wall);
      response.writeHead(403, { 'content-type': 'text/plain', connection: 'close' }).end(`${wall.message}\n`);
      return;
    }
    try {
      await forward(request, response, session);
    } catch {
      // The host broke off, or the program did: either hears of it as it would without us.
      if (response.headersSent || response.destroyed) response.destroy();
      else if (session.hasAnswered && session.upstream.destroyed) endInTurn(response, request.socket);
      else {
        response.writeHead(502, { 'content-type': 'text/plain', connection: 'close' });
        response.end('The host gave no sound answer.\n');
      }
    }
  }
}

/** What the host did not answer before it closed the connection is asked again on a new one: it is not for us to answer. */
function endInTurn(response: ServerResponse, program: Duplex): void {
  if (response.socket === null) response.once('socket', () => program.end());
  else program.end();
}

/** Node's own watch works only for a server that listens. */
class HeadWatch {
  readonly #timeoutMs: number;
  readonly #onLate: () => void;
  #answering = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(program: Duplex, timeoutMs: number, onLate: () => void) {
    this.#timeoutMs = timeoutMs;
    this.#onLate = onLate;
    program.on('data', () => this.#expect());
    program.once('close', () => clearTimeout(this.#timer));
    this.#expect();
  }

  /** A head is here. */
  began(response: ServerResponse): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#answering++;
    response.once('close', () => this.#answering--);
  }

  #expect(): void {
    if (this.#answering === 0) this.#timer ??= setTimeout(this.#onLate, this.#timeoutMs);
  }
}

/** What keeps a request from being passed on. */
function wallAgainst(request: IncomingMessage, { target, carries }: Exchange): Ending | undefined {
  const hosts = request.headersDistinct['host'] ?? [];
  const [host = ''] = hosts;
  if (hosts.length !== 1 || !namesTarget(host, target)) {
    return refusal(`The request names another host than ${targetText(target)}, or none.`);
  }
  if (request.url?.startsWith('/') !== true && request.url !== '*') {
    return refusal('The request is for a proxy; only one for the host itself is passed on.');
  }
  if (carries !== undefined && request.method === 'TRACE') {
    return refusal('TRACE would answer with the secret of this host.');
  }
  return undefined;
}

function namesTarget(host: string, target: EgressTarget): boolean {
  const [, name = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(host) ?? [];
  try {
    return canonicalHost(name) === target.host && Number(port ?? target.port) === target.port;
  } catch {
    return false; // it is no host at all
  }
}

async function forward(request: IncomingMessage, response: ServerResponse, session: Session): Promise<void> {
  const { target, agent, carries } = session;
  const isChunked = request.headers['transfer-encoding'] !== undefined;
  const isFramed = isChunked || request.headers['content-length'] !== undefined;
  const outgoing = startRequest({
    agent,
    method: request.method ?? 'GET',
    path: request.url ?? '/',
    setHost: false,
    maxHeaderSize: maxHeaderBytes,
    headers: {
      host:
        target.port === defaultPorts[carries === undefined ? 'http' : 'https'] ? hostOf(target) : targetText(target),
      ...endToEndHeaders(request.headers),
      ...(carries && { [carries.header]: carries.value }),
      // Node's parser has read the body by this; it is framed anew.
      ...(isChunked && { 'transfer-encoding': 'chunked' }),
    },
  });
  session.unanswered.add(outgoing);
  outgoing.once('close', () => session.unanswered.delete(outgoing));
  carries?.onUsed();
  response.once('close', () => {
    if (!response.writableFinished) outgoing.destroy();
  });
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', gatherSmallPieces).once('response', resolve).once('error', reject);
    outgoing.once('close', () => reject(new Error('the host has closed the connection')));
    outgoing.once('upgrade', (_answer, connection) => {
      connection.destroy();
      reject(new Error('the host changed to another protocol, which nobody asked for'));
    });
  });
  holdBackSmallPieces(outgoing);
  if (isFramed) request.pipe(outgoing);
  else {
    // Node would write a body without framing as it comes, and the host take it for the next request.
    request.resume();
    outgoing.end();
  }
  const answer = await answered;
  session.unanswered.delete(outgoing);
  session.hasAnswered = true;
  outgoing.on('error', () => undefined); // told by the answer
  holdBackSmallPieces(response);
  const headers = endToEndHeaders(answer.headers);
  const status = answer.statusCode ?? 502;
  if (status < 200 || status === 204) delete headers['content-length'];
  if (carries === undefined) {
    response.writeHead(status, headers);
    await pipeline(answer, response);
  } else {
    response.writeHead(status, maskedHeaders(headers, carries.hidden));
    const mask = bodyMask(carries.hidden);
    gatherSmallPieces(mask);
    holdBackSmallPieces(mask);
    await pipeline(answer, mask, response);
  }
}

function hostOf(target: EgressTarget): string {
  return targetText(target).slice(0, -`:${target.port}`.length);
}

function refusalText(ending: Ending): string {
  const body = `${ending.message}\n`;
  return `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;
}
