import type { RequestListener, Server } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Requests under way on one connection. HTTP clients have one; a client that sends more before the first is answered
 * (pipelining) could have any number.
 */
const mostUnderWay = 16;

interface Connection {
  underWay: number;
  isGoingOn: boolean;
  /** What came in beyond `mostUnderWay`: begins the next request. Bounded by what one read brings, 64 KiB. */
  readonly waiting: (() => void)[];
}

/**
 * The connections of a server. On each at most 16 requests are under way: above that it is not read, so that also its end
 * is found only when an answer is written.
 *
 * They can be closed without waiting for those that nobody uses. Node's own `closeIdleConnections` passes over connections
 * that never carried a request, as browsers open them ahead, and those that become idle later.
 */
export class OpenConnections {
  /** Bounded by the server's `maxConnections`. */
  readonly #open = new Map<Socket, Connection>();
  #isDraining = false;

  /** Hands the server's requests to `listener`, those of one connection in their order. */
  serve(server: Server, listener: RequestListener): void {
    server.on('connection', (socket) => {
      const connection: Connection = { underWay: 0, isGoingOn: false, waiting: [] };
      this.#open.set(socket, connection);
      socket.once('close', () => this.#open.delete(socket));
      // Whoever reads a request's body resumes its socket.
      socket.on('resume', () => {
        if (connection.waiting.length > 0) stopReading(socket);
      });
    });
    server.on('request', (request, response) => {
      const { socket } = request;
      const connection = this.#open.get(socket);
      if (connection === undefined) return; // closed meanwhile: nobody hears an answer
      const begin = (): void => {
        connection.underWay++;
        listener(request, response);
        // After those of the listener: what the request held is free before the next begins.
        response.once('close', () => {
          connection.underWay--;
          this.#goOn(socket, connection);
        });
      };
      if (connection.underWay < mostUnderWay && connection.waiting.length === 0) begin();
      else {
        connection.waiting.push(begin);
        stopReading(socket);
      }
    });
  }

  /** Whether an answer is owed on it. */
  isBusy(socket: Socket): boolean {
    const connection = this.#open.get(socket);
    return connection !== undefined && connection.underWay + connection.waiting.length > 0;
  }

  /** Closes each connection as soon as nothing is under way on it. */
  drain(): void {
    this.#isDraining = true;
    for (const [socket, { underWay, waiting }] of this.#open)
      if (underWay === 0 && waiting.length === 0) socket.destroy();
  }

  /** Begins what waits, one in a turn of the event loop: others have theirs where all are refused at once. */
  #goOn(socket: Socket, connection: Connection): void {
    const { underWay, waiting } = connection;
    if (socket.destroyed || connection.isGoingOn || underWay === mostUnderWay) return;
    if (waiting.length === 0) {
      if (this.#isDraining && underWay === 0) socket.destroySoon();
      return;
    }
    connection.isGoingOn = true;
    setImmediate(() => {
      connection.isGoingOn = false;
      if (socket.destroyed) return;
      waiting.shift()?.();
      if (waiting.length === 0) socket.resume();
      this.#goOn(socket, connection);
    });
  }
}

/** Node's server stops at the event, which `pause` does not send again while a `resume` is on its way. */
function stopReading(socket: Socket): void {
  socket.pause();
  socket.emit('pause');
}
