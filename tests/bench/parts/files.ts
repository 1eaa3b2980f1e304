import { execFile } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { CaissonClient } from '../../../src/client/index.ts';
import { wholeOf } from '../../../src/wire/files-client.ts';
import { GuestClient } from '../../../src/wire/guest-client.ts';
import { agentIdSchema } from '../../../src/kernel/ids.ts';
import { context as explain, megabytes, ms, percent, type Row } from '../report/row.ts';
import type { BenchContext } from '../rig/bench-context.ts';
import { startControlPlane } from '../rig/control-plane.ts';
import { DockerExec } from '../rig/docker-exec.ts';
import { median, quantile, timed } from '../rig/statistics.ts';
import { timedAlone } from '../rig/timed-alone.ts';

const rounds = 1_000;
const peerRounds = 20;
const atOnce = 64;
const concurrentOperations = 20_000;
const bigBytes = 1_000_000_000;
const bigRounds = 3;
const run = promisify(execFile);

/** Files through the wire's client and through the typed client, beside `docker exec cat` and `docker cp`. */
export async function files(context: BenchContext): Promise<readonly Row[]> {
  await using controlPlane = await startControlPlane(context);
  const { client, pid } = controlPlane;
  const { id } = await client.agents.create.mutate({ name: 'files', wait: true });
  const agentId = agentIdSchema.parse(id);
  const guest = new GuestClient(await context.provider.connect(agentId, 'inward'));
  const folder = await context.directory('files');
  try {
    return [
      ...(await smallRows(guest, client, agentId, new DockerExec(context.docker, agentId), folder)),
      ...(await concurrentRows(guest, folder)),
      ...(await bigRows(client, agentId, pid)),
    ];
  } finally {
    await guest.close();
  }
}

async function smallRows(
  guest: GuestClient,
  client: CaissonClient,
  agentId: string,
  plain: DockerExec,
  folder: string,
): Promise<readonly Row[]> {
  const path = Buffer.from('small.txt');
  const content = Buffer.alloc(1_024, 'x');
  const text = content.toString();
  const local = join(folder, 'small.txt');
  await writeFile(local, content);
  await guest.files.write(path, content);
  const wire = {
    stat: () => guest.files.stat(path),
    read: async () => {
      const { content, length } = await guest.files.open(path);
      for await (const chunk of wholeOf(content, length)) void chunk;
    },
    write: () => guest.files.write(path, content),
  };
  const typed = {
    stat: () => client.files.stat.query({ agentId, path: 'small.txt' }),
    read: () => client.files.read.query({ agentId, path: 'small.txt' }),
    write: () => client.files.write.mutate({ agentId, path: 'small.txt', content: text }),
  };
  const exec = await repeated(peerRounds, () => plain.run(['cat', '/workspace/small.txt']));
  const copy = await repeated(peerRounds, () => run('docker', ['cp', local, `${agentId}:/workspace/copied`]));
  const peers = { stat: exec, read: exec, write: copy };
  const rows: Row[] = [];
  for (const what of ['stat', 'read', 'write'] as const) {
    const ours = await repeated(rounds, wire[what]);
    const theirs = await repeated(rounds, typed[what]);
    const peer = median(peers[what]);
    const name = what === 'write' ? 'docker cp' : 'docker exec cat';
    const peerText = `${ms(peer)} (${name})`;
    rows.push({
      what: `${what} of 1 KiB over the wire, p50 (p99 ${ms(quantile(ours, 0.99))})`,
      ours: ms(median(ours)),
      floor: peerText,
      comparison: `1/${Math.round(peer / median(ours))}`,
      target: '≤ 1 ms',
      met: median(ours) <= 1,
    });
    rows.push(
      explain({
        what: `the same through the typed client, p50 (p99 ${ms(quantile(theirs, 0.99))})`,
        ours: ms(median(theirs)),
        floor: peerText,
        comparison: `1/${Math.round(peer / median(theirs))}`,
      }),
    );
  }
  return rows;
}

async function concurrentRows(guest: GuestClient, folder: string): Promise<readonly Row[]> {
  const path = Buffer.from('small.txt');
  const content = Buffer.alloc(1_024, 'x');
  const operations: Record<string, (worker: number, round: number) => Promise<unknown>> = {
    stat: () => guest.files.stat(path),
    read: async () => {
      const { content, length } = await guest.files.open(path);
      for await (const chunk of wholeOf(content, length)) void chunk;
    },
    'new file': (_, round) => guest.files.write(Buffer.from(`new/${round}`), content, { parents: true }),
    'write over a file': (worker) => guest.files.write(Buffer.from(`small-${worker}`), content),
    'write over a file in /tmp, which is no disk,': (worker) =>
      guest.files.write(Buffer.from(`/tmp/small-${worker}`), content),
  };
  const floors: Record<string, (round: number) => void> = {
    'new file': (round) => replaceFile(join(folder, `new-${round}`), content),
    'write over a file': (round) => replaceFile(join(folder, `small-${round % atOnce}`), content),
  };
  const rows: Row[] = [];
  for (const [what, operation] of Object.entries(operations)) {
    const tookMs = await timed(async () => {
      let left = concurrentOperations;
      const work = async (_: unknown, worker: number): Promise<void> => {
        while (left-- > 0) await operation(worker, left);
      };
      await Promise.all(Array.from({ length: atOnce }, work));
    });
    const rate = concurrentOperations / (tookMs / 1_000);
    const floor = floors[what];
    const floorRate = floor && (await rateOf(floor));
    rows.push({
      what: `${what} of 1 KiB over the wire, ${atOnce} at once`,
      ours: `${Math.round(rate)} /s`,
      floor: floorRate === undefined ? '' : `${Math.round(floorRate)} /s (Node, on the same disk)`,
      comparison: floorRate === undefined ? '' : percent(rate / floorRate),
      target: '≥ 5,000 /s',
      met: rate >= 5_000,
    });
  }
  return rows;
}

/** What the guest does to write a file, and no more. */
function replaceFile(path: string, content: Uint8Array): void {
  writeFileSync(`${path}.part`, content);
  renameSync(`${path}.part`, path);
}

/** With a turn of the event loop now and then: a wire that does not answer for 10 s is taken for dead. */
async function rateOf(work: (round: number) => void): Promise<number> {
  const from = performance.now();
  for (let round = 0; round < concurrentOperations; round++) {
    work(round);
    if (round % 1_000 === 0) await new Promise(setImmediate);
  }
  return concurrentOperations / ((performance.now() - from) / 1_000);
}

async function bigRows(client: CaissonClient, agentId: string, pid: number): Promise<readonly Row[]> {
  const before = await peakBytes(pid);
  const piece = new Uint8Array(1_000_000);
  const [ups, downs]: [number[], number[]] = [[], []];
  for (let round = 0; round < bigRounds; round++) {
    let left = bigBytes;
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull(controller) {
        left -= piece.length;
        controller.enqueue(piece.slice());
        if (left <= 0) controller.close();
      },
    });
    ups.push(await timedAlone(() => client.files.upload({ agentId, path: 'big', body })));
    const download = async (): Promise<void> => {
      let bytes = 0;
      for await (const chunk of (await client.files.download({ agentId, path: 'big' })).stream) bytes += chunk.length;
      if (bytes !== bigBytes) throw new Error(`${bytes} bytes came`);
    };
    downs.push(await timedAlone(download));
  }
  const grown = (await peakBytes(pid)) - before;
  await client.files.remove.mutate({ agentId, path: 'big' });
  const row = (what: string, tookMs: number): Row => {
    const rate = bigBytes / 1e6 / (tookMs / 1_000);
    return { what, ours: `${rate.toFixed(0)} MB/s`, floor: '', comparison: '', target: '≥ 100 MB/s', met: rate >= 100 };
  };
  return [
    row('1 GB up through HTTP, median', median(ups)),
    row('1 GB down through HTTP, median', median(downs)),
    {
      what: 'memory that the control plane grew by at its peak, for all of them',
      ours: megabytes(grown),
      floor: '',
      comparison: '',
      target: '≤ 64 MiB',
      met: grown <= 64 * 1024 ** 2,
    },
  ];
}

async function repeated(count: number, work: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let round = -Math.ceil(count / 10); round < count; round++) {
    const took = await timed(work);
    if (round >= 0) times.push(took);
  }
  return times;
}

/** The most that a process has had resident, in bytes. */
async function peakBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) * 1_024;
}
