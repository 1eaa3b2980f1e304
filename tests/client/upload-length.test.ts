import { expect, test } from 'vitest';
import { createCaissonClient } from '../../src/client/index.ts';
import { newAgentId } from '../../src/kernel/ids.ts';

test.each([
  ['text', 'wörd'],
  ['bytes', new TextEncoder().encode('wörd')],
  ['a blob', new Blob(['wö', 'rd'])],
])('an upload of %s says how long it is, though it is sent as a stream', async (_what, body) => {
  const sent: unknown[] = [];
  const fetch: typeof globalThis.fetch = async (_url, init) => {
    sent.push(new Headers(init?.headers).get('content-length'), await new Response(init?.body).text());
    return Response.json({});
  };
  const client = createCaissonClient({ url: 'http://control-plane', apiKey: 'ck_x', fetch });
  await client.files.upload({ agentId: newAgentId(), path: 'x', body });
  expect(sent).toEqual(['5', 'wörd']);
});
