import { Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ArchiveOutput } from '../../../src/guest/files/archive-output.ts';

test('of an archive that nobody takes one batch is on its way, and one waits', async () => {
  let take = (): void => undefined;
  const stream = new Writable({ highWaterMark: 1, write: (_chunk, _encoding, taken) => void (take = taken) });
  const output = new ArchiveOutput(stream, { begin: () => undefined, gone: new AbortController().signal });
  const batch = Buffer.alloc(256 * 1024);
  output.add(batch);
  await output.flush();
  output.add(batch);
  let isSent = false;
  const second = output.flush().then(() => (isSent = true));
  await nextTurn();
  expect([isSent, stream.writableLength]).toEqual([false, batch.length]);
  take();
  await second;
});
