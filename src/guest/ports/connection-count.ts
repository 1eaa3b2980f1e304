import type { Server, Socket } from 'node:net';

/** How many connections a server has, asked at any time. Of those from now on. */
export function countConnections(server: Server): () => number {
  let open = 0;
  server.on('connection', (socket: Socket) => {
    open++;
    socket.once('close', () => void open--);
  });
  return () => open;
}
