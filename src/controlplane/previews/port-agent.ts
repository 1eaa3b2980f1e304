import type { ClientRequest, ClientRequestArgs } from 'node:http';
import { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { errorText } from '../../kernel/errors.ts';
import { Agent } from '../../kernel/node-http.ts';

/** Half of what a sandbox takes, so that one preview does not use up all. Further requests wait for one that is done. */
const mostConnections = 64;

/** How long a connection waits for the next request: less than servers keep one that idles, 2 s at the least. */
const idleMs = 1_500;

/** Kept-alive HTTP connections to one port of a sandbox. */
export class PortAgent extends Agent {
  readonly #connect: () => Promise<Duplex>;
  readonly #idle = new WeakMap<Duplex, NodeJS.Timeout>();

  constructor(connect: () => Promise<Duplex>) {
    super({ keepAlive: true, maxSockets: mostConnections, maxFreeSockets: mostConnections, scheduling: 'lifo' });
    this.#connect = connect;
  }

  override createConnection(
    _options: ClientRequestArgs,
    created: (error: Error | null, connection: Duplex) => void = () => undefined,
  ): undefined {
    this.maxSockets--; // Node counts a connection only once it is there
    void this.#create((error, connection) => {
      this.maxSockets++;
      created(error, connection);
      if (error !== null) this.#refuseWaiting(error);
    });
    return undefined;
  }

  override keepSocketAlive(connection: Duplex): boolean {
    const timer = setTimeout(() => connection.destroy(), idleMs);
    timer.unref();
    this.#idle.set(connection, timer);
    return true;
  }

  override reuseSocket(connection: Duplex, request: ClientRequest): void {
    super.reuseSocket(connection, request);
    clearTimeout(this.#idle.get(connection));
  }

  async #create(created: (error: Error | null, connection: Duplex) => void): Promise<void> {
    let connection: Duplex;
    try {
      connection = await this.#connect();
    } catch (thrown) {
      // With an error, Node does not look at the connection that its type asks for.
      created(thrown instanceof Error ? thrown : new Error(errorText(thrown)), new Duplex());
      return;
    }
    // Node waits for the end of a connection that it was given, also when that is past.
    if (connection.destroyed) created(connection.errored ?? new Error('The connection was closed.'), connection);
    else created(null, connection);
  }

  /** Requests that wait for a connection are looked at when one is done. Where there is none, and none to come, nobody would. */
  #refuseWaiting(error: Error): void {
    const isUp = Object.values(this.sockets).some((connections = []) => connections.length > 0);
    if (isUp || this.maxSockets < mostConnections) return;
    for (const waiting of Object.values(this.requests)) {
      for (const request of waiting?.splice(0) ?? []) {
        const broken = new Socket().on('error', () => undefined);
        request.onSocket(broken);
        broken.destroy(error); // heard by the request in its turn
      }
    }
  }
}
