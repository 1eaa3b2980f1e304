import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';

/** One control plane uses a few; what is above this is dropped at once. */
const maxConnections = 16;

/**
 * Listens on a unix socket that only this user can open (mode 600). A file that an earlier guest left there is removed.
 * The socket accepts connections when this returns; failures are emitted as 'error'.
 */
export function listenUnix(path: string, onConnection: (socket: Socket) => void): Server {
  rmSync(path, { force: true });
  const server = createServer(onConnection);
  server.maxConnections = maxConnections;
  const umask = process.umask(0o177);
  try {
    server.listen(path); // binds before it returns
  } finally {
    process.umask(umask);
  }
  return server;
}
