import { Agent, createServer, request as askModel } from 'node:http';
import { type ClientHttp2Session, connect, createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, createConnection } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { endToEndHeaders } from '../../../src/wire/end-to-end-headers.ts';

/**
 * The control plane's place in the bare relay: prompts by HTTP, events by SSE, model requests to the service; no types, no
 * store, no checks. Arguments: the folder of the sockets, the URL of the model service.
 */
const [directory = '', modelUrl = ''] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true });
createHttp2Server()
  .on('stream', (stream, { ':method': method, ':path': path = '', ...headers }) => {
    const asked = askModel(new URL(path, modelUrl), { method, agent, headers: endToEndHeaders(headers) });
    stream.pipe(asked);
    asked.once('response', (answer) => {
      stream.respond({ ':status': answer.statusCode, ...endToEndHeaders(answer.headers) });
      answer.pipe(stream);
    });
  })
  .listen(join(directory, 'outward.sock'));

let inward: ClientHttp2Session | undefined;
const server = createServer((request, response) => {
  inward ??= connect('http://guest', { createConnection: () => createConnection(join(directory, 'inward.sock')) });
  if (request.url === '/events') {
    const events = inward.request({ ':path': '/events' });
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    createInterface({ input: events }).on('line', (line) => void response.write(`data: ${line}\n\n`));
    return;
  }
  const prompt = inward.request({ ':method': 'POST', ':path': '/prompt' });
  request.pipe(prompt);
  prompt.resume();
  prompt.once('end', () => response.end('{}'));
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.once('disconnect', () => process.exit());
