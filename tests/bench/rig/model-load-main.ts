import { once } from 'node:events';
import { Agent, request as httpRequest } from 'node:http';
import { createConnection } from 'node:net';
import { connectHttp2 } from '../../../src/wire/connect-http2.ts';
import { openStream } from '../../../src/wire/requests.ts';
import { quantile } from './statistics.ts';

/**
 * Model calls, so many at any time, and how long each waits for the first byte of its answer. Arguments: how many at a
 * time, how many each makes one after the other (the first does not count), and the address: a URL of the service, or the
 * socket of a gateway. Tells its parent p50 and p99 in milliseconds.
 */
const [streams = 0, calls = 0] = process.argv.slice(2, 4).map(Number);
const address = process.argv[4] ?? '';

/** As long as a first request of Codex. */
const body = Buffer.from(
  JSON.stringify({
    model: 'gpt-5.5',
    instructions: 'Be brief. Say "done". '.repeat(1_000),
    input: [{ role: 'user', content: [{ type: 'input_text', text: 'const x = "1";\n'.repeat(2_000) }] }],
    stream: true,
  }),
);
const headers = { 'content-type': 'application/json', 'content-length': body.length, 'thread-id': 'session' };

/** A gateway lets an agent make 32 calls at a time. */
const callsOfAnAgent = 25;

/** Makes a call; resolves with its answer's body. */
type Ask = (index: number) => Promise<NodeJS.ReadableStream>;

const times: number[] = [];
const ask = address.startsWith('http:') ? askService() : askGateway();
await Promise.all(Array.from({ length: streams }, (_, index) => work(index)));
process.send?.({ p50: quantile(times, 0.5), p99: quantile(times, 0.99) }, () => process.exit(0));

async function work(index: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, (index / streams) * 4_000)); // spread over the length of an answer
  for (let call = 0; call < calls; call++) {
    const from = performance.now();
    const answer = await ask(index);
    await once(answer, 'readable');
    if (call > 0) times.push(performance.now() - from);
    answer.resume();
    await once(answer, 'end');
  }
}

function askService(): Ask {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 1_000 });
  return async () => {
    const request = httpRequest(`${address}/responses`, { method: 'POST', headers, agent });
    request.end(body);
    const [response] = (await once(request, 'response')) as [NodeJS.ReadableStream];
    return response;
  };
}

function askGateway(): Ask {
  const wires = Array.from({ length: Math.ceil(streams / callsOfAnAgent) }, () =>
    connectHttp2(createConnection(address)),
  );
  return async (index) => {
    const wire = wires[index % wires.length];
    if (wire === undefined) throw new Error('there is no wire');
    const stream = openStream(wire.session, {
      headers: { ':method': 'POST', ':path': '/model/v1/responses', ...headers },
      endStream: false,
    });
    stream.end(body);
    const [answer] = (await once(stream, 'response')) as [{ ':status': number }];
    if (answer[':status'] !== 200) throw new Error(`the gateway answers ${answer[':status']}`);
    return stream;
  };
}
