import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { connect, createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { endToEndHeaders } from '../../../src/wire/end-to-end-headers.ts';

/**
 * The guest's place in the bare relay: hands prompts to codex-acp and its lines back, and its model requests on, over HTTP/2 on
 * unix sockets; it does nothing else. Arguments: the folder of the sockets, the adapter, the workspace, the model's port.
 */
const [directory = '', adapter = '', workspace = '', port = ''] = process.argv.slice(2);
const codex: ChildProcessByStdio<Writable, Readable, null> = spawn(process.execPath, [adapter], {
  stdio: ['pipe', 'pipe', 'ignore'],
});
const say = (message: object): void => void codex.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
const lines = createInterface({ input: codex.stdout });
const answer = (id: number): Promise<Record<string, unknown>> =>
  new Promise((resolve) => {
    const hear = (line: string): void => {
      const message = JSON.parse(line) as { id?: number; result?: Record<string, unknown> };
      if (message.id !== id) return;
      lines.off('line', hear);
      resolve(message.result ?? {});
    };
    lines.on('line', hear); // one read may bring several
  });

let follower: ServerHttp2Stream | undefined;
const inward = createHttp2Server().on('stream', (stream, headers) => {
  stream.respond({ ':status': 200 });
  if (headers[':path'] === '/events') {
    follower = stream;
    return;
  }
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.once('end', () => {
    const { id, text } = JSON.parse(Buffer.concat(chunks).toString()) as { id: number; text: string };
    say({ id, method: 'session/prompt', params: { sessionId, prompt: [{ type: 'text', text }] } });
    stream.end('{}');
  });
});
inward.listen(join(directory, 'inward.sock'));

const outward = connect('http://plane', { createConnection: () => createConnection(join(directory, 'outward.sock')) });
createServer((request, response) => {
  const stream = outward.request({
    ...endToEndHeaders(request.headers),
    ':method': request.method,
    ':path': request.url,
  });
  request.pipe(stream);
  stream.once('response', ({ ':status': status = 502, ...headers }) => {
    response.writeHead(status, endToEndHeaders(headers));
    stream.pipe(response);
  });
}).listen(Number(port), '127.0.0.1');

say({ id: 1, method: 'initialize', params: { protocolVersion: 1, clientCapabilities: {} } });
await answer(1);
say({ id: 2, method: 'session/new', params: { cwd: workspace, mcpServers: [] } });
const { sessionId } = await answer(2);
say({ id: 3, method: 'session/set_title', params: { sessionId, title: 'bench' } });
await answer(3);
lines.on('line', (line) => void follower?.write(`${line}\n`));
process.send?.('ready');
process.once('disconnect', () => {
  codex.kill();
  void pause(100).then(() => process.exit());
});
