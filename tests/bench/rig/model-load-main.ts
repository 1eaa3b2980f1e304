import { once } from 'node:events';
import { Agent, request as httpRequest } from 'node:http';
import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectHttp2 } from '../../../src/wire/connect-http2.ts';
import { openStream } from '../../../src/wire/requests.ts';

/**
 * Model calls as many people make them, at random moments and whatever becomes of those before, and how long each waits for
 * the first byte of its answer. Arguments: how many a second, for how many seconds, and the address: a URL of the service,
 * or the socket of a gateway. The first four seconds do not count: answers last two, and what is new to a process is slow.
 * Tells its parent the milliseconds of each.
 */
const [rate = 0, seconds = 0] = process.argv.slice(2, 4).map(Number);
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

const wires = 20;
const warmUpMs = 4_000;

/** Makes a call; resolves with its answer's body. */
type Ask = (index: number) => Promise<NodeJS.ReadableStream>;

const ask = address.startsWith('http:') ? askService() : askGateway();
const times: number[] = [];
const pending: Promise<void>[] = [];
const begun = performance.now();
const measuredFrom = begun + warmUpMs;
let random = 1;
for (let index = 0, due = begun; due < measuredFrom + seconds * 1_000; index++) {
  const early = due - performance.now();
  if (early > 0) await sleep(early);
  pending.push(measure(index));
  due += (1_000 / rate) * -Math.log(nextRandom());
}
await Promise.all(pending);
process.send?.(times, () => process.exit(0));

async function measure(index: number): Promise<void> {
  const from = performance.now();
  const answer = await ask(index);
  await once(answer, 'readable');
  if (from >= measuredFrom) times.push(performance.now() - from);
  answer.resume();
  await once(answer, 'end');
}

/** Above 0 and below 1, and the same ones in each run. */
function nextRandom(): number {
  random = (random * 48_271) % 2_147_483_647;
  return random / 2_147_483_647;
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

/** As many agents as the streams need: a gateway lets one make 32 calls at a time. */
function askGateway(): Ask {
  const agents = Array.from({ length: wires }, () => connectHttp2(createConnection(address)));
  return async (index) => {
    const wire = agents[index % agents.length];
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
