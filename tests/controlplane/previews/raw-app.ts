import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

export interface RawApp extends AsyncDisposable {
  readonly port: number;
}

interface RawAppOptions {
  /** Hears of each connection, before anything is read from it. */
  readonly onConnection?: (socket: Socket) => void;
  /** Hears of each request: its head, as it came. */
  readonly onRequest?: (head: string, socket: Socket) => void;
}

/** An app that is held to no protocol. */
export async function startRawApp({ onConnection, onRequest }: RawAppOptions): Promise<RawApp> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => undefined); // what it says may get it reset
    onConnection?.(socket);
    let heard = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      heard += chunk;
      if (!heard.includes('\r\n\r\n')) return;
      onRequest?.(heard, socket);
      heard = '';
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the app has no port');
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
