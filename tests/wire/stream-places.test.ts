import { expect, test } from 'vitest';
import { newProcessId, newRunId } from '../../src/kernel/ids.ts';
import { processPaths } from '../../src/wire/contract/processes.ts';
import { until } from '../until.ts';
import { fakeGuest } from './fake-guest.ts';

const path = Buffer.from('/workspace/app.js');

test('who waits leaves room for calls, and is refused where too many wait', async () => {
  let waiting = 0;
  await using guest = fakeGuest((stream, headers) => {
    if (!String(headers[':path']).startsWith(processPaths.all)) {
      stream.respond({ ':status': 404 });
      stream.end(JSON.stringify({ code: 'FILE_NOT_FOUND', message: 'It is not there.' }));
      return;
    }
    waiting++;
    stream.once('close', () => waiting--);
  });
  const { processes, files, terminals, ports } = guest.client;
  const leave = new AbortController();
  const wait = (signal?: AbortSignal) => processes.wait(newProcessId(), 60_000, signal);
  const waits = Array.from({ length: 256 }, (_, at) => wait(at === 0 ? leave.signal : undefined));
  const outcomes = Promise.allSettled(waits);
  await until('256 that wait', () => waiting === 256);

  const limit = { code: 'LIMIT_REACHED', hint: expect.stringContaining('no longer needed') };
  await expect(wait()).rejects.toMatchObject(limit);
  await expect(processes.attach({ command: ['cat'] })).rejects.toMatchObject(limit);
  await expect(processes.logs(newProcessId(), { after: 0, follow: true })).rejects.toMatchObject(limit);
  await expect(ports.connect(80)).rejects.toMatchObject(limit);
  await expect(files.stat(path)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  await expect(terminals.list()).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });

  leave.abort();
  await until('255 that wait', () => waiting === 255);
  const next = Promise.allSettled([wait()]);
  await until('256 that wait', () => waiting === 256);
  await guest.client.close();
  await Promise.all([outcomes, next]);
});

test('calls beyond the streams of a session are refused at once, and what drives the harness is not', async () => {
  let open = 0;
  await using guest = fakeGuest((stream, headers) => {
    if (String(headers[':path']).startsWith('/v1/turns')) {
      stream.respond();
      stream.end(JSON.stringify({ runId: newRunId(), state: 'active' }));
    } else open++;
  });
  const calls = Array.from({ length: 1_280 }, () => guest.client.files.stat(path));
  const outcomes = Promise.allSettled(calls);
  await until('all calls', () => open === 1_280);
  await expect(guest.client.files.stat(path)).rejects.toMatchObject({ code: 'LIMIT_REACHED' });
  await expect(guest.client.turnStatus(newRunId())).resolves.toMatchObject({ state: 'active' });
  await guest.client.close();
  await outcomes;
});
