import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PortAgent } from '../../../src/controlplane/previews/port-agent.ts';
import { createPreviewProxy } from '../../../src/controlplane/previews/preview-proxy.ts';
import { type RunningWorkspace, startWorkspace } from '../workspace/running-workspace.ts';
import { startApp } from './app.ts';
import { startRawApp } from './raw-app.ts';
import { Visitor } from './visitor.ts';

let workspace: RunningWorkspace;
beforeAll(async () => {
  workspace = await startWorkspace();
});
afterAll(() => workspace[Symbol.asyncDispose]());

async function visit({ port }: { readonly port: number }): Promise<{ visitor: Visitor; origin: string }> {
  const made = await workspace.client.previews.create.mutate({ agentId: workspace.agent.id, port, access: 'shared' });
  const visitor = new Visitor(workspace.url);
  expect((await visitor.visit(made.url)).status).toBe(303);
  return { visitor, origin: made.origin };
}

const methods = ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'PROPFIND'];
const body = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\nEND';
const framings: Readonly<Record<string, string>> = {
  [`content-length: ${body.length}`]: body,
  'transfer-encoding: chunked': `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
};

function requestOf(line: string, visitor: Visitor, origin: string, ...headers: readonly string[]): string {
  const own = [`Host: ${new URL(origin).host}`, `Cookie: ${visitor.cookie(origin)}`];
  return [line, ...own, ...headers, '', ''].join('\r\n');
}

test.each(['content-length', 'transfer-encoding', 'host', 'te, trailer', 'Content-Length, host, TRANSFER-ENCODING'])(
  'a request whose Connection header names %s reaches the app with its host, and with its body framed',
  async (named) => {
    let heard = '';
    await using app = await startRawApp({
      onConnection(socket) {
        socket.on('data', (chunk) => {
          heard += chunk.toString();
          if (/END(\r\n0\r\n\r\n)?$/.test(heard)) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
        });
      },
    });
    const { visitor, origin } = await visit(app);
    for (const method of methods) {
      for (const [framing, bytes] of Object.entries(framings)) {
        heard = '';
        const connection = `Connection: ${named}, close`;
        await visitor.raw(`${requestOf(`${method} /first HTTP/1.1`, visitor, origin, connection, framing)}${bytes}`);
        const end = heard.indexOf('\r\n\r\n');
        const [line, ...lines] = heard.slice(0, end).split('\r\n');
        const headers = lines.map((header) => header.toLowerCase());
        expect(line).toBe(`${method} /first HTTP/1.1`);
        expect(headers.filter((header) => /^(content-length|transfer-encoding):/.test(header))).toEqual([framing]);
        expect(headers.filter((header) => header.startsWith('host:'))).toEqual([`host: ${new URL(origin).host}`]);
        expect(bytes.startsWith(heard.slice(end + 4))).toBe(true);
      }
    }
  },
);

test('what one visitor sends as a body gets no answer that another could be given', async () => {
  const seen: string[] = [];
  await using app = await startApp((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    request.resume().on('end', () => response.end(request.url));
  });
  const { visitor, origin } = await visit(app);
  const other = await visit(app);
  for (const method of methods) {
    const head = ['Connection: content-length, close', `Content-Length: ${body.length}`];
    await visitor.raw(`${requestOf(`${method} /first HTTP/1.1`, visitor, origin, ...head)}${body}`);
    expect((await other.visitor.visit(`${other.origin}/own`)).text).toBe('/own');
  }
  expect(seen).toEqual(methods.flatMap((method) => [`${method} /first`, 'GET /own']));
});

test('nothing is written behind a head that does not say how long its body is', async () => {
  const seen: string[] = [];
  await using app = await startApp((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers['content-length']}`);
    response.end();
  });
  const connections = new PortAgent(async () => {
    const connection = connect(app.port, '127.0.0.1');
    await once(connection, 'connect');
    return connection;
  });
  const proxy = createPreviewProxy({ onError: (error) => expect.unreachable(error.message) });
  // As if the headers had been filtered wrongly.
  await using front = await startApp((request, response) => {
    request.headers = { host: 'app' };
    proxy.web(request, response, { connections });
  });
  for (const method of methods) {
    const head = `${method} /first HTTP/1.1\r\nHost: app\r\nConnection: close\r\nContent-Length: ${body.length}`;
    expect(await new Visitor(`http://127.0.0.1:${front.port}`).raw(`${head}\r\n\r\n${body}`)).toContain(' 200 ');
  }
  expect(seen.map((line) => line.replace(/ (0|undefined)$/, ''))).toEqual(methods.map((method) => `${method} /first`));
  connections.destroy();
});
