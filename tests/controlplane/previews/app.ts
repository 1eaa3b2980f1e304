import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';

export interface App extends AsyncDisposable {
  readonly port: number;
  readonly server: Server;
  /** Connections that were made. */
  readonly connections: { count: number; open: number };
}

/** An app on loopback, as it would be in a sandbox. */
export async function startApp(listener: RequestListener, options: { readonly port?: number } = {}): Promise<App> {
  const server = createServer(listener);
  const connections = { count: 0, open: 0 };
  server.on('connection', (socket) => {
    connections.count++;
    connections.open++;
    socket.once('close', () => connections.open--);
  });
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the app has no port');
  return {
    port: address.port,
    server,
    connections,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** Tells what it got. */
export const echo: RequestListener = (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const { method, url, headers, rawHeaders } = request;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ method, url, headers, rawHeaders, body: Buffer.concat(chunks).toString() }));
  });
};
