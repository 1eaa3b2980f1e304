import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import process from 'node:process';
import { z } from 'zod';

/**
 * What becomes of a request: it goes on; the engine never sees it, and nobody answers; the connection breaks before the
 * engine sees it; or the engine does it, and the connection breaks instead of its answer.
 */
export type Fate = 'pass' | 'silence' | 'break' | 'lose-answer';

const localEngine = /^unix:\/\/(.+)/.exec(process.env['DOCKER_HOST'] ?? '')?.[1] ?? '/var/run/docker.sock';

/** Decides about a request by its first line, e.g. "POST /containers/create?name=x HTTP/1.1". */
type Decide = (requestLine: string) => Fate | Promise<Fate>;

/**
 * A remote engine on a loopback port: relays to the engine of this machine, and can fail at a chosen request. Raw bytes,
 * so that hijacked connections pass as they are.
 */
export class EngineRelay implements AsyncDisposable {
  readonly port: number;
  /** Default: everything passes. */
  decide: Decide = () => 'pass';
  readonly #server;
  readonly #sockets;
  /** The last request of each connection to us that is open. */
  readonly #requests = new Map<Socket, string>();

  private constructor(server: ReturnType<typeof createServer>, sockets: Set<Socket>) {
    this.#server = server;
    this.#sockets = sockets;
    this.port = z.object({ port: z.int() }).parse(server.address()).port;
    server.on('connection', (client) => void this.#relay(client));
  }

  static async open(): Promise<EngineRelay> {
    const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new EngineRelay(server, new Set());
  }

  /** Connections to us that are open, and whose last request has this in its first line. */
  openAfter(part: string): number {
    return [...this.#requests.values()].filter((line) => line.includes(part)).length;
  }

  async #relay(client: Socket): Promise<void> {
    client.on('close', () => this.#requests.delete(client));
    const engine = connect({ path: localEngine, allowHalfOpen: true });
    for (const [socket, other] of [
      [client, engine],
      [engine, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => other.destroy());
    }
    engine.pipe(client);
    try {
      for await (const chunk of client) {
        const line = /^(?:GET|POST|DELETE) [^\r\n]+/.exec(String(chunk))?.[0];
        if (line !== undefined) this.#requests.set(client, line);
        const fate = line === undefined ? 'pass' : await this.decide(line);
        if (fate === 'silence') continue;
        if (fate === 'lose-answer') engine.unpipe(client);
        if (fate === 'break') client.destroy();
        else if (!engine.write(chunk)) await once(engine, 'drain');
        if (fate === 'lose-answer') {
          engine.resume();
          await once(engine, 'data');
          client.destroy();
        }
      }
      engine.end();
    } catch {
      engine.destroy(); // the client broke off
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
