import { once } from 'node:events';
import { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { WebSocket } from 'ws';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

interface Visit {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | Buffer;
}

/** Somebody with a browser's manners and no browser: finds preview hosts on loopback, and keeps the cookies of each. */
export class Visitor {
  readonly #port: number;
  readonly #cookies = new Map<string, string>();

  /** `url`: of the control plane. */
  constructor(url: string) {
    this.#port = Number(new URL(url).port);
  }

  /** Opens a link, and goes where it leads. */
  async open(link: string): Promise<Answer> {
    const first = await this.visit(link);
    const next = first.headers.location;
    return first.status === 303 && next !== undefined ? await this.visit(next) : first;
  }

  async visit(url: string, visit: Visit = {}): Promise<Answer> {
    const response = await this.stream(url, visit);
    return { status: response.statusCode ?? 0, headers: response.headers, text: await text(response) };
  }

  /** The answer as it comes. */
  async stream(url: string, visit: Visit = {}): Promise<IncomingMessage> {
    const outgoing = this.request(url, visit);
    outgoing.end(visit.body);
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    this.#keepCookies(url, response.headers);
    return response;
  }

  request(url: string, { method = 'GET', path, headers = {} }: Visit = {}): ClientRequest {
    const { host, pathname, search } = new URL(url);
    const cookie = this.cookie(url);
    return request({
      host: '127.0.0.1',
      port: this.#port,
      agent: false,
      method,
      path: path ?? `${pathname}${search}`,
      headers: { host, ...(cookie && { cookie }), ...headers },
    });
  }

  socket(url: string, headers: Readonly<Record<string, string>> = {}): WebSocket {
    const { host, pathname, search } = new URL(url);
    const cookie = this.cookie(url);
    return new WebSocket(`ws://127.0.0.1:${this.#port}${pathname}${search}`, {
      headers: { host, ...(cookie && { cookie }), ...headers },
    });
  }

  /** Sends bytes as they are, and gives all that comes back until the connection ends. */
  async raw(bytes: string): Promise<string> {
    const socket = connect(this.#port, '127.0.0.1');
    let answer = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => (answer += chunk));
    socket.on('error', () => undefined); // also emits 'close'
    socket.write(bytes);
    await new Promise((resolve) => socket.once('close', resolve));
    return answer;
  }

  cookie(url: string): string | undefined {
    return this.#cookies.get(new URL(url).host);
  }

  setCookie(url: string, cookie: string): void {
    this.#cookies.set(new URL(url).host, cookie);
  }

  #keepCookies(url: string, headers: IncomingHttpHeaders): void {
    const [cookie] = headers['set-cookie'] ?? [];
    const pair = cookie?.split(';')[0];
    if (pair !== undefined && /caisson-preview=/.test(pair)) this.setCookie(url, pair);
  }
}
