import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/**
 * The connections of a server, so that it can close without waiting for those that nobody uses. Node's own
 * `closeIdleConnections` passes over connections that never carried a request, as browsers open them ahead, and those
 * that become idle later.
 */
export class OpenConnections {
  /** Requests under way, by connection. Bounded by the server's `maxConnections`. */
  readonly #requests = new Map<Socket, number>();
  #isDraining = false;

  constructor(server: Server) {
    server.on('connection', (socket) => {
      this.#requests.set(socket, 0);
      socket.once('close', () => this.#requests.delete(socket));
    });
    server.on('request', ({ socket }, response) => {
      this.#requests.set(socket, (this.#requests.get(socket) ?? 0) + 1);
      response.once('close', () => {
        const left = (this.#requests.get(socket) ?? 1) - 1;
        if (!socket.destroyed) this.#requests.set(socket, left);
        if (this.#isDraining && left === 0) socket.destroySoon();
      });
    });
  }

  /** Closes each connection as soon as nothing is under way on it. */
  drain(): void {
    this.#isDraining = true;
    for (const [socket, requests] of this.#requests) if (requests === 0) socket.destroy();
  }
}
