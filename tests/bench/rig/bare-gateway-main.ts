import { Agent, request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { serveOutward } from '../../../src/wire/serve-outward.ts';

/**
 * The model gateway's place with nothing in it: requests from the same kind of wire are passed on to the service, and its
 * answers back. Arguments: a folder, the URL of the service.
 */
const [directory = '', modelUrl = ''] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true, maxFreeSockets: 256 });
const server = createServer((socket) => {
  serveOutward(
    socket,
    async (stream, { 'content-length': length, 'content-type': type }) => {
      const headers = { 'content-length': length, 'content-type': type };
      const asked = request(`${modelUrl}/responses`, { method: 'POST', agent, headers });
      stream.pipe(asked).once('response', (answer) => {
        stream.respond({ ':status': answer.statusCode ?? 502, 'content-type': answer.headers['content-type'] });
        answer.pipe(stream);
      });
    },
    { onHandlerError: (thrown) => process.stderr.write(`${String(thrown)}\n`) },
  );
});
server.listen(join(directory, 'outward.sock'), () => process.send?.('listening'));
process.once('disconnect', () => process.exit(0));
