import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type { AttachedProcess } from '../../../src/wire/attached-process.ts';
import { GuestClient } from '../../../src/wire/guest-client.ts';
import { context as explain, ms, percent, type Row } from '../report/row.ts';
import type { BenchContext } from '../rig/bench-context.ts';
import { DockerExec, dockerCommandLine } from '../rig/docker-exec.ts';
import { median, quantile, timed } from '../rig/statistics.ts';

const requests = 2_000;
const spawns = 150;
const bulkRounds = 3;
const bulkBytes = 512 * 1024 * 1024;
const block = Buffer.alloc(256 * 1024);
const fromSandbox = ['head', '-c', '512M', '/dev/zero'];
const toSandbox = ['sh', '-c', 'cat >/dev/null'];

/** The wire alone: a GuestClient in this process over the Docker provider, beside plain `docker exec` in the same container. */
export async function wire(context: BenchContext): Promise<readonly Row[]> {
  const { provider, docker } = context;
  const spec = context.sandboxSpec();
  await provider.ensureRunning(spec);
  const guest = new GuestClient(await provider.connect(spec.agentId, 'inward'));
  const plain = new DockerExec(docker, spec.agentId);
  try {
    while ((await guest.health()).harness.state === 'starting') await pause(50);
    return [
      ...(await requestRows(guest, plain)),
      ...(await spawnRows(guest, plain, spec.agentId)),
      ...(await bulkRows(guest, plain)),
    ];
  } finally {
    await guest.close();
    await provider.destroy(spec.agentId);
  }
}

async function requestRows(guest: GuestClient, plain: DockerExec): Promise<readonly Row[]> {
  const { echo, close } = await plain.openEcho();
  const ours: number[] = [];
  const echoes: number[] = [];
  for (let round = -200; round < requests; round++) {
    const requestMs = await timed(() => guest.health());
    const echoMs = await echo();
    if (round < 0) continue;
    ours.push(requestMs);
    echoes.push(echoMs);
  }
  close();
  const row = (share: number): Omit<Row, 'target' | 'met'> => {
    const [a, b] = [quantile(ours, share), quantile(echoes, share)];
    return {
      what: `request to the guest, p${100 * share}`,
      ours: ms(a),
      floor: `${ms(b)} (one byte through docker exec cat)`,
      comparison: `${(a / b).toFixed(2)} ×`,
    };
  };
  return [{ ...row(0.5), target: '≤ 0.7 ms', met: median(ours) <= 0.7 }, explain(row(0.99))];
}

async function spawnRows(guest: GuestClient, plain: DockerExec, container: string): Promise<readonly Row[]> {
  const commandLine = await dockerCommandLine(container);
  const ours: number[] = [];
  const dockerode: number[] = [];
  const cli: number[] = [];
  for (let round = -10; round < spawns; round++) {
    const spawnMs = await timed(() => spawnTrue(guest));
    if (round < 0) continue;
    ours.push(spawnMs);
    if (round % 5 !== 0) continue;
    dockerode.push(await timed(() => plain.run(['true'])));
    if (commandLine !== undefined) cli.push(await timed(commandLine));
  }
  const row = (share: number): Omit<Row, 'target' | 'met'> => {
    const [a, b] = [quantile(ours, share), quantile(dockerode, share)];
    const peers = [`${ms(b)} (docker exec, dockerode)`];
    if (cli.length > 0) peers.push(`${ms(quantile(cli, share))} (docker exec, command line)`);
    return {
      what: `spawn \`true\` and its exit code, p${100 * share}`,
      ours: ms(a),
      floor: peers.join(', '),
      comparison: `${(a / b).toFixed(2)} ×`,
    };
  };
  return [{ ...row(0.5), target: '≤ 8 ms', met: median(ours) <= 8 }, explain(row(0.99))];
}

async function bulkRows(guest: GuestClient, plain: DockerExec): Promise<readonly Row[]> {
  const rates = { from: [] as number[], to: [] as number[], plainFrom: [] as number[], plainTo: [] as number[] };
  const rate = async (work: () => Promise<unknown>): Promise<number> => bulkBytes / 1e6 / ((await timed(work)) / 1000);
  for (let round = 0; round < bulkRounds; round++) {
    rates.from.push(await rate(() => download(guest)));
    rates.plainFrom.push(await rate(() => plain.run(fromSandbox)));
    rates.to.push(await rate(() => upload(guest)));
    rates.plainTo.push(await rate(() => plain.run(toSandbox, writeBlocks)));
  }
  const row = (what: string, ours: readonly number[], peer: readonly number[]): Row => {
    const [a, b] = [median(ours), median(peer)];
    return {
      what,
      ours: `${a.toFixed(0)} MB/s`,
      floor: `${b.toFixed(0)} MB/s (docker exec, dockerode)`,
      comparison: percent(a / b),
      target: '≥ 100 MB/s',
      met: a >= 100,
    };
  };
  return [
    row('512 MiB out of the sandbox, median', rates.from, rates.plainFrom),
    row('512 MiB into the sandbox, median', rates.to, rates.plainTo),
  ];
}

async function spawnTrue(guest: GuestClient): Promise<void> {
  const process = await guest.processes.attach({ command: ['true'] });
  await drain(process);
  const { exitCode } = await process.exit;
  if (exitCode !== 0) throw new Error(`true ended with ${String(exitCode)}`);
}

async function download(guest: GuestClient): Promise<void> {
  const bytes = await drain(await guest.processes.attach({ command: fromSandbox }));
  if (bytes !== bulkBytes) throw new Error(`${bytes} bytes came`);
}

async function upload(guest: GuestClient): Promise<void> {
  const process = await guest.processes.attach({ command: toSandbox });
  await Promise.all([drain(process), writeBlocks(process.stdin)]);
  await process.exit;
}

async function drain({ output }: AttachedProcess): Promise<number> {
  let bytes = 0;
  for await (const pieces of output) for (const piece of pieces) if (piece.stream !== 'gap') bytes += piece.data.length;
  return bytes;
}

async function writeBlocks(stdin: Writable): Promise<void> {
  for (let sent = 0; sent < bulkBytes; sent += block.length) {
    if (!stdin.write(block)) await once(stdin, 'drain');
  }
  stdin.end();
}
