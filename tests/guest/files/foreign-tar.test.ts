import type * as childProcess from 'node:child_process';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ArchiveOutput } from '../../../src/guest/files/archive-output.ts';
import { Confinement } from '../../../src/guest/files/confinement.ts';
import { packTar } from '../../../src/guest/files/pack.ts';
import { encodeTarHeader } from '../../../src/kernel/tar-encode.ts';
import { until } from '../../until.ts';

// Who works in a sandbox may change its tar, and what tar does. Here a shell comes before it.
let script = '';
let pid = 0;
vi.mock('node:child_process', async (original) => {
  const real = await original<typeof childProcess>();
  return {
    ...real,
    spawn: (program: string, args: readonly string[], options: childProcess.SpawnOptions) => {
      const child = real.spawn('/bin/sh', ['-c', script, program, ...args], { ...options, env: process.env });
      pid = child.pid ?? 0;
      return child;
    },
  };
});

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'caisson-tar-'));
});
afterEach(async () => {
  const holder = await readFile(join(directory, 'holder'), 'utf8').catch(() => '');
  if (holder !== '') process.kill(Number(holder), 'SIGKILL');
  await rm(directory, { recursive: true });
});

async function pack(stream: Writable, gone = new AbortController().signal): Promise<void> {
  const confinement = new Confinement([directory]);
  using folder = confinement.pin(confinement.parse(Buffer.from(directory)), { folder: true });
  await packTar(folder, new ArchiveOutput(stream, { begin: () => undefined, gone }), gone);
}

/** Takes all, and tells the length of each piece. */
function sink(pieces: number[] = []): Writable {
  return new Writable({ write: (piece: Buffer, _encoding, done) => (pieces.push(piece.length), done()) });
}

test('what has no content is sent as it comes, too', async () => {
  script = 'exec "$0" "$@"';
  for (let at = 0; at < 3_000; at++) await writeFile(join(directory, `${at}`), '');
  const pieces: number[] = [];
  await pack(sink(pieces));
  expect(Math.max(...pieces)).toBeLessThan(512 * 1024);
  expect(pieces.length).toBeGreaterThan(3);
});

test('who leaves has left, whoever else has the output of tar', async () => {
  script = 'sleep 300 & echo $! > holder; exec "$0" "$@"';
  await writeFile(join(directory, 'large'), '');
  await truncate(join(directory, 'large'), 64 * 1024 * 1024);
  const left = new Error('the reader has left');
  const gone = new AbortController();
  await expect(pack(new Writable({ write: () => gone.abort(left) }), gone.signal)).rejects.toBe(left);
});

test('nor does a word of tar wait for anybody', async () => {
  script = 'sleep 300 & echo $! > holder; echo "/bin/tar: no" >&2; wait';
  await expect(pack(sink())).rejects.toMatchObject({ code: 'TRANSFER_BROKEN' });
});

test('a name that no file can have is not waited for', async () => {
  const header = encodeTarHeader({
    name: Buffer.from('././@LongLink'),
    type: 'file',
    mode: 0o644,
    modifiedAt: 0,
    size: 2 ** 32,
    target: null,
  }).subarray(-512);
  header[156] = 'L'.charCodeAt(0);
  await writeFile(join(directory, 'header'), header);
  script = 'cat header; exec cat /dev/zero';
  await expect(pack(sink())).rejects.toMatchObject({ code: 'TRANSFER_BROKEN' });
  await until('it is gone', () => {
    try {
      return !process.kill(pid, 0);
    } catch {
      return true;
    }
  });
});
