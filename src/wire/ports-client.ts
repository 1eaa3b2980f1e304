import type { ClientHttp2Session } from 'node:http2';
import { deadline } from '../kernel/deadline.ts';
import {
  type ListeningPort,
  mostPortConnections,
  portListSchema,
  portPaths,
  tooManyConnections,
} from './contract/ports.ts';
import { Tunnel, type TunnelOptions } from './tunnel.ts';
import { openStream, refusalOf, requestJson, responseStatus } from './requests.ts';

/** Somewhat longer than the guest itself waits. */
const connectTimeoutMs = 10_000;
const maxListBytes = 1024 * 1024;

interface ConnectOptions extends TunnelOptions {
  /** Gives up connecting. A connection that is there is its holder's. */
  readonly signal?: AbortSignal;
}

/** The ports of a sandbox. */
export class PortsClient {
  readonly #session: ClientHttp2Session;
  /** The guest counts too, but what lies unread of each is held here. */
  #open = 0;

  constructor(session: ClientHttp2Session) {
    this.#session = session;
  }

  /** Those that listen, in the order of their numbers, at most 512. The guest's own are not among them. */
  async list(signal?: AbortSignal): Promise<readonly ListeningPort[]> {
    const { ports } = await requestJson(this.#session, {
      method: 'GET',
      path: portPaths.list,
      answer: portListSchema,
      maxAnswerBytes: maxListBytes,
      signal,
    });
    return ports;
  }

  /**
   * Connects to what listens on the port, on 127.0.0.1 or ::1. The caller destroys the connection.
   * Errors: PORT_NOT_LISTENING; FORBIDDEN for the guest's own ports; LIMIT_REACHED above 128 at once; DEADLINE_EXCEEDED; WIRE_LOST.
   */
  async connect(port: number, { signal, ...options }: ConnectOptions = {}): Promise<Tunnel> {
    if (this.#open >= mostPortConnections) throw tooManyConnections();
    using limit = deadline(connectTimeoutMs, `Connecting to port ${port}`, signal);
    const opening = new AbortController();
    const abort = (): void => opening.abort(limit.signal.reason);
    limit.signal.addEventListener('abort', abort, { once: true });
    try {
      const stream = openStream(this.#session, {
        headers: { ':method': 'POST', ':path': portPaths.stream(port) },
        use: 'wait',
        signal: opening.signal,
        endStream: false,
        waitForTrailers: true,
      });
      this.#open++;
      stream.once('close', () => this.#open--);
      let connection: Tunnel | undefined;
      stream.once('response', (headers) => {
        if (headers[':status'] === 200) connection = new Tunnel(stream, options);
      });
      const status = await responseStatus(stream, limit.signal);
      if (connection !== undefined) return connection;
      stream.end();
      throw await refusalOf(stream, status, limit.signal);
    } finally {
      limit.signal.removeEventListener('abort', abort);
    }
  }
}
