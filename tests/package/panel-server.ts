import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { z } from 'zod';

export interface PanelServer extends AsyncDisposable {
  readonly url: string;
}

const page = '<!doctype html><meta charset="utf-8"><title>panel</title><script type="module" src="/panel.js"></script>';

/**
 * What stands behind a web panel: it serves the page, and passes `/trpc` and WebSockets on to the control plane, so that
 * both have one origin. The control plane itself allows no other one.
 */
export async function startPanelServer(script: string, controlPlaneUrl: string): Promise<PanelServer> {
  const server = createServer((incoming, response) => {
    if (incoming.url?.startsWith('/trpc/')) return passOn(incoming, response, controlPlaneUrl);
    const [type, text] = incoming.url === '/panel.js' ? ['text/javascript', script] : ['text/html', page];
    response.setHeader('content-type', `${type}; charset=utf-8`).end(text);
  });
  const sockets = new Set<Socket>();
  server.on('upgrade', (incoming: IncomingMessage, socket: Socket) => {
    sockets.add(socket);
    passSocketOn(incoming, socket, controlPlaneUrl);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = z.object({ port: z.int() }).parse(server.address());
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}

function passOn(incoming: IncomingMessage, response: ServerResponse, controlPlaneUrl: string): void {
  const { method, url = '/', headers } = incoming;
  const outgoing = request(new URL(url, controlPlaneUrl), { method, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  outgoing.on('error', () => response.destroy());
  response.on('close', () => outgoing.destroy());
  incoming.pipe(outgoing);
}

function passSocketOn({ method, url, rawHeaders }: IncomingMessage, socket: Socket, controlPlaneUrl: string): void {
  const { hostname, port } = new URL(controlPlaneUrl);
  const outgoing = connect(Number(port), hostname);
  const headers = rawHeaders.map((text, at) => (at % 2 === 0 ? `${text}: ` : `${text}\r\n`));
  outgoing.write(`${method} ${url} HTTP/1.1\r\n${headers.join('')}\r\n`);
  for (const end of [socket, outgoing]) end.on('error', () => undefined); // 'close' follows
  socket.once('close', () => outgoing.destroy());
  outgoing.once('close', () => socket.destroy());
  outgoing.pipe(socket).pipe(outgoing);
}
