import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sseEvent } from '../../../src/controlplane/model-gateway/apis/model-api.ts';

/**
 * A model service in a process of its own, as light as it can be: what it needs of the processors, what is measured has
 * not. Every answer begins at once and goes on for two seconds, with a delta each 20 to 50 ms, and tells its usage.
 */
const deltas = 57;
const model = 'gpt-5.5';
const text = 'a few words of it ';

const event = (type: string, fields: object): Buffer => Buffer.from(sseEvent({ type, ...fields }, type));
const place = { item_id: 'msg_0123456789', output_index: 0, content_index: 0 };
const created = event('response.created', { response: { id: 'resp_0123456789', model, status: 'in_progress' } });
const delta = event('response.output_text.delta', { ...place, delta: text });
const usage = { input_tokens: 15_000, output_tokens: 6 * deltas, total_tokens: 15_000 + 6 * deltas };
const item = { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: text.repeat(deltas) }] };
const completed = event('response.completed', { response: { model, status: 'completed', output: [item], usage } });

const server = createServer((request, response) => {
  request.resume().once('end', () => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(created);
    goOn(response, deltas);
  });
});
server.listen(0, '127.0.0.1', () => {
  process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`);
});
process.once('disconnect', () => process.exit(0));

function goOn(response: ServerResponse, left: number): void {
  if (response.destroyed) return;
  if (left === 0) {
    response.end(completed);
    return;
  }
  setTimeout(
    () => {
      response.write(delta);
      goOn(response, left - 1);
    },
    20 + 30 * Math.random(),
  );
}
