import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packFolder } from '../../../src/cli/files/pack-folder.ts';
import { unpackFolder } from '../../../src/cli/files/unpack-folder.ts';
import { context as explain, ms, type Row } from '../report/row.ts';
import type { BenchContext } from '../rig/bench-context.ts';
import { startControlPlane } from '../rig/control-plane.ts';
import { median } from '../rig/statistics.ts';
import { timedAlone } from '../rig/timed-alone.ts';

const smallFiles = 10_000;
const rounds = 5;
const run = promisify(execFile);
const shell = (script: string, ...args: string[]): Promise<unknown> => run('sh', ['-c', script, 'sh', ...args]);

/**
 * Many small files as one archive, between a folder of this machine and one of a sandbox, beside `docker cp`, and beside tar
 * into tar on the same disk, which knows no sandbox. Then the archive alone, as a browser sends or takes it.
 */
export async function archives(context: BenchContext): Promise<readonly Row[]> {
  await using controlPlane = await startControlPlane(context);
  const { client } = controlPlane;
  const { id: agentId } = await client.agents.create.mutate({ name: 'archives', wait: true });
  const folder = await context.directory('archives');
  const here = (name: string): string => join(folder, name);
  const inSandbox = (name: string): string => `${agentId}:/workspace/${name}`;
  const local = here('many');
  await makeFiles(local);
  await shell('tar -C "$1" -cf "$2" .', local, here('many.tar'));

  const upload = async (path: string, archive: AsyncIterable<Buffer>): Promise<unknown> => {
    const body = ReadableStream.from(archive) as ReadableStream<Uint8Array<ArrayBuffer>>;
    return await client.files.uploadArchive({ agentId, path, body });
  };
  const download = async (path: string): Promise<AsyncIterable<Buffer>> =>
    buffers(await client.files.downloadArchive({ agentId, path }));

  const times = new Map<string, number[]>();
  const measure = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    times.set(what, [...(times.get(what) ?? []), await timedAlone(work)]);
  };
  // Nothing is removed before the end: ext4 without a journal passes over inodes that were just freed, one by one.
  for (let round = 0; round < rounds; round++) {
    const [uploaded, copied, made] = [`uploaded-${round}`, `copied-${round}`, `made-${round}`];
    await mkdir(here(`tar-${round}`));
    await client.files.mkdir.mutate({ agentId, path: `copied-${made}` });
    await measure('tar', () => shell('tar -C "$1" -cf - . | tar -C "$2" -xf -', local, here(`tar-${round}`)));
    await measure('up', () => upload(uploaded, packFolder(local)));
    await measure('copy up', () => run('docker', ['cp', local, inSandbox(copied)]));
    await measure('down', async () => unpackFolder(here(uploaded), await download(uploaded)));
    await measure('copy down', () => run('docker', ['cp', inSandbox(uploaded), here(copied)]));
    await measure('archive up', () => upload(made, createReadStream(here('many.tar'))));
    await measure('copy archive up', () =>
      shell('docker cp - "$1" < "$2"', inSandbox(`copied-${made}`), here('many.tar')),
    );
    await measure('archive down', async () => {
      for await (const chunk of await download(uploaded)) void chunk;
    });
    await measure('copy archive down', () => shell('docker cp "$1" - > /dev/null', inSandbox(uploaded)));
  }
  await rm(folder, { recursive: true });

  const took = (what: string): number => median(times.get(what) ?? []);
  const rate = (what: string): string => `${Math.round(smallFiles / (took(what) / 1_000))} files/s`;
  const row = (what: string, ours: string, copy: string): Row => ({
    what,
    ours: `${rate(ours)} (${ms(took(ours))})`,
    floor: `${rate(copy)} (docker cp), ${rate('tar')} (tar \\| tar, on the same disk)`,
    comparison: `${timesText(took(copy) / took(ours))}, ${timesText(took('tar') / took(ours))}`,
    target: '≥ 5 × docker cp, or as the disk allows',
    met: took(copy) / took(ours) >= 5 || took('tar') / took(ours) >= 0.8,
  });
  const archiveRow = (what: string, ours: string, copy: string): Row =>
    explain({
      what,
      ours: `${rate(ours)} (${ms(took(ours))})`,
      floor: `${rate(copy)} (docker cp, an archive too)`,
      comparison: timesText(took(copy) / took(ours)),
    });
  return [
    row('10,000 small files up as one archive, median', 'up', 'copy up'),
    row('the same down, and written to disk here', 'down', 'copy down'),
    archiveRow('an archive of them, made before, up', 'archive up', 'copy archive up'),
    archiveRow('an archive of them down, not written', 'archive down', 'copy archive down'),
  ];
}

const timesText = (factor: number): string => `${factor.toFixed(1)} ×`;

async function makeFiles(folder: string): Promise<void> {
  for (let at = 0; at < smallFiles; at++) {
    const below = join(folder, `d${at % 100}`);
    if (at < 100) await mkdir(below, { recursive: true });
    await writeFile(join(below, `f${at}`), `file ${at}\n`.repeat(20));
  }
}

async function* buffers(stream: ReadableStream<Uint8Array>): AsyncGenerator<Buffer> {
  for await (const chunk of stream) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}
