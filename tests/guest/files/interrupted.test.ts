import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { FilesClient, Upload } from '../../../src/wire/files-client.ts';
import type { FileWritten } from '../../../src/wire/contract/files.ts';
import { until } from '../../until.ts';
import { type RunningGuest, runGuest } from '../running-guest.ts';

let guest: RunningGuest;
let files: FilesClient;
let folder: string;
beforeEach(async () => {
  guest = await runGuest();
  files = (await guest.client()).files;
  folder = join(guest.roots[0], 'd');
  await mkdir(folder);
});
afterEach(() => guest[Symbol.asyncDispose]());

const piece = Buffer.alloc(1024 * 1024, 'x');

/** Begins to send 5 GB, and has sent 32 MiB of it, which the guest has written. */
async function begin(length: number | undefined): Promise<Upload<FileWritten>> {
  const upload = files.put(Buffer.from(`${folder}/f`), { length });
  upload.body.on('error', () => undefined);
  for (let sent = 0; sent < 32; sent++) {
    await new Promise((resolve) => upload.body.write(piece, resolve));
  }
  await until('the guest has written most of it', async () => {
    const half = (await readdir(folder)).find((name) => name.startsWith('.caisson-'));
    return half !== undefined && (await stat(join(folder, half))).size > 16 * piece.length;
  });
  return upload;
}

const fiveGigabytes = 5_000_000_000;

test.each([
  ['of a known length', fiveGigabytes],
  ['of an unknown length', undefined],
])('an upload of 5 GB %s that is cut in the middle leaves the old file and nothing else', async (_what, length) => {
  await writeFile(join(folder, 'f'), 'old');
  const { body, answer } = await begin(length);
  body.destroy();
  await expect(answer).rejects.toMatchObject({ code: 'WIRE_LOST' });
  await until('its traces are gone', async () => (await readdir(folder)).length === 1);
  expect(await readFile(join(folder, 'f'), 'utf8')).toBe('old');
});

test('an upload that ends before its announced length changes nothing', async () => {
  const { body, answer } = await begin(fiveGigabytes);
  body.end();
  await expect(answer).rejects.toMatchObject({ code: 'WIRE_LOST' }); // the guest's HTTP/2 resets such a stream
  await until('its traces are gone', async () => (await readdir(folder)).length === 0);
});

test('an upload whose wire is lost changes nothing', async () => {
  const { answer, body } = await begin(undefined);
  body.session?.socket.destroy();
  await expect(answer).rejects.toMatchObject({ code: 'WIRE_LOST' });
  await until('its traces are gone', async () => (await readdir(folder)).length === 0);
});

test('a guest that stops during an upload and a watch: both hear WIRE_LOST, and no half file is left', async () => {
  const watch = files.watch({ path: folder, recursive: true, exclude: [], cursor: null });
  await watch.next();
  const next = watch.next();
  next.catch(() => undefined);
  const { answer } = await begin(fiveGigabytes);
  await guest.guest.stop();
  await expect(answer).rejects.toMatchObject({ code: 'WIRE_LOST' });
  await expect(next).rejects.toMatchObject({ code: 'WIRE_LOST' });
  await until('its traces are gone', async () => (await readdir(folder)).length === 0);
});
