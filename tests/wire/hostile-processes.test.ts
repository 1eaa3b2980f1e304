import type { ServerHttp2Stream } from 'node:http2';
import { expect, test } from 'vitest';
import { newIncarnationId, newProcessId } from '../../src/kernel/ids.ts';
import { processHeader, type ProcessInfo } from '../../src/wire/contract/processes.ts';
import { encodeHeaderJson } from '../../src/wire/header-json.ts';
import { frameHead } from '../../src/wire/output-frames.ts';
import { fakeGuest } from './fake-guest.ts';

const info: ProcessInfo = {
  id: newProcessId(),
  pid: 7,
  kind: 'attached',
  command: ['true'],
  cwd: '/workspace',
  state: 'running',
  startedAt: 1,
  endedAt: null,
  exitCode: null,
  signal: null,
  timedOut: false,
  input: 'open',
  output: { start: 0, end: 0, open: true },
};

/** A guest that answers an attachment with these bytes and this trailer. */
function answering(head: unknown, bytes: Buffer, trailer: unknown) {
  return fakeGuest((stream: ServerHttp2Stream) => {
    stream.once('wantTrailers', () => stream.sendTrailers({ [processHeader]: encodeHeaderJson(trailer) }));
    stream.respond({ ':status': 200, [processHeader]: encodeHeaderJson(head) }, { waitForTrailers: true });
    stream.end(bytes);
    stream.resume();
  });
}

const end = { exitCode: 0, signal: null, timedOut: false };

test.for([
  ['who does not say what it started', {}],
  ['who names a process of another kind', { ...info, id: 'agt-1' }],
  ['whose process has a pid that kills all', { ...info, pid: -1 }],
] as const)('a guest %s is refused', async ([, head]) => {
  await using guest = answering(head, Buffer.alloc(0), end);
  await expect(guest.client.processes.attach({ command: ['true'] })).rejects.toMatchObject({ code: 'GUEST_PROTOCOL' });
});

test.for([
  ['an exit that is none', { ...end, exitCode: 'zero' }],
  ['a signal that is a text', { ...end, signal: 'rm -rf /\u001b[2J' }],
  ['nothing', undefined],
] as const)('%s at the end is no exit', async ([, trailer]) => {
  await using guest = answering(info, Buffer.alloc(0), trailer ?? {});
  const attached = await guest.client.processes.attach({ command: ['true'] });
  for await (const _ of attached.output);
  await expect(attached.exit).rejects.toMatchObject({ code: 'GUEST_PROTOCOL' });
});

test('output that is not framed ends the reading, and the process', async () => {
  await using guest = answering(info, Buffer.alloc(100, 0x41), end);
  const attached = await guest.client.processes.attach({ command: ['true'] });
  const reading = (async () => {
    for await (const _ of attached.output);
  })();
  await expect(reading).rejects.toMatchObject({ code: 'GUEST_PROTOCOL' });
});

test('output that ends in the middle of a frame is a broken wire', async () => {
  await using guest = answering(info, frameHead('stdout', 10), end);
  const attached = await guest.client.processes.attach({ command: ['true'] });
  const reading = (async () => {
    for await (const _ of attached.output);
  })();
  await expect(reading).rejects.toMatchObject({ code: 'WIRE_LOST' });
});

test('a list that is larger than any is refused before it is read', async () => {
  const list = { incarnation: newIncarnationId(), processes: [], tree: [], isTreeCut: false, padding: 'x'.repeat(9e6) };
  await using guest = fakeGuest((stream) => {
    stream.respond();
    stream.end(JSON.stringify(list));
  });
  await expect(guest.client.processes.list()).rejects.toMatchObject({ code: 'GUEST_PROTOCOL' });
});
