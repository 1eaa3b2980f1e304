import { randomBytes } from 'node:crypto';
import { readdirSync, readlinkSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ArchiveOutput } from '../../../src/guest/files/archive-output.ts';
import { Confinement } from '../../../src/guest/files/confinement.ts';
import { packZip } from '../../../src/guest/files/pack-zip.ts';
import { livePromises } from '../../live-promises.ts';
import { until } from '../../until.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'caisson-zip-'));
});
afterEach(() => rm(directory, { recursive: true }));

async function pack(stream: Writable, gone = new AbortController().signal): Promise<void> {
  const confinement = new Confinement([directory]);
  using folder = confinement.pin(confinement.parse(Buffer.from(directory)), { folder: true });
  await packZip(folder, new ArchiveOutput(stream, { begin: () => undefined, gone }), gone);
}

test('what has been packed is not held until all is', async () => {
  for (let i = 0; i < 500; i++) await mkdir(join(directory, `folder-${i}`));
  const before = livePromises();
  let held: number | undefined;
  await pack(
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        if (chunk.includes('PK\x01\x02')) held ??= livePromises(); // the list at the end has begun
        done();
      },
    }),
  );
  expect(held).toBeLessThan(before + 100);
});

test('an archive that can go nowhere any more is an error, and not a wait', async () => {
  await mkdir(join(directory, 'folder'));
  const broken = new Error('nobody takes it');
  await expect(pack(new Writable({ write: (_chunk, _encoding, done) => done(broken) }))).rejects.toBe(broken);
});

test('a file that is being packed when the reader leaves is closed: its stream waits for room for ever', async () => {
  const large = join(directory, 'large');
  await writeFile(large, randomBytes(4 * 1024 * 1024)); // more than all streams on the way hold
  const isOpen = (): boolean => openFiles().includes(large);
  const left = new Error('the reader has left');
  const gone = new AbortController();
  const begun = pack(new Writable({ write: () => gone.abort(left) }), gone.signal);
  await expect(begun).rejects.toBe(left);
  await until('it is closed', () => !isOpen());
});

function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // closed since
    }
  });
}
