import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { repositoryRoot } from '../../../scripts/harness-install.ts';
import type { CaissonClient } from '../../../src/client/index.ts';
import { context as explain, ms, percent, type Row } from '../report/row.ts';
import type { BenchContext } from '../rig/bench-context.ts';
import { startControlPlane } from '../rig/control-plane.ts';
import { DockerExec, dockerCommandLine } from '../rig/docker-exec.ts';
import { residentBytes } from '../rig/memory.ts';
import { median, quantile, timed } from '../rig/statistics.ts';

/** Each way has its turn several times over. */
const blocks = 5;
const execsPerBlock = 60;
const peersPerBlock = 12;
/** What the engine goes on doing after an exec of its own is not to burden ours. */
const settleMs = 500;
const bulkBytes = 1024 ** 3;
const bulkRounds = 3;
const gigabyte = ['head', '-c', '1G', '/dev/zero'];

/** Processes from the typed client and the command line, through the API, beside plain `docker exec` in the same container. */
export async function processes(context: BenchContext): Promise<readonly Row[]> {
  await using controlPlane = await startControlPlane(context);
  const { client } = controlPlane;
  const { id: agentId } = await client.agents.create.mutate({ name: 'bench', wait: true });
  const plain = new DockerExec(context.docker, agentId);
  try {
    return [...(await execRows(client, agentId, plain)), ...(await bulkRows(controlPlane, agentId, plain))];
  } finally {
    await client.agents.delete.mutate({ agentId });
  }
}

async function execRows(client: CaissonClient, agentId: string, plain: DockerExec): Promise<readonly Row[]> {
  const commandLine = await dockerCommandLine(agentId);
  const samples = {
    exec: [] as number[],
    call: [] as number[],
    spawn: [] as number[],
    stream: [] as number[],
    dockerode: [] as number[],
    cli: [] as number[],
  };
  for (let block = 0; block < blocks; block++) {
    for (let round = -20; round < execsPerBlock; round++) {
      const execMs = await timed(() => client.processes.exec.mutate({ agentId, command: ['true'] }));
      if (round >= 0) samples.exec.push(execMs);
    }
    for (let round = 0; round < peersPerBlock; round++)
      samples.call.push(await timed(() => client.system.version.query()));
    for (let round = 0; round < peersPerBlock; round++) samples.spawn.push(await timed(spawnHere));
    for (let round = 0; round < peersPerBlock; round++)
      samples.stream.push(await timed(() => spawnTrue(client, agentId)));
    for (let round = 0; round < peersPerBlock; round++) {
      samples.dockerode.push(await timed(() => plain.run(['true'])));
      if (commandLine !== undefined) samples.cli.push(await timed(commandLine));
    }
    await pause(settleMs);
  }
  const row = (share: number): Omit<Row, 'target' | 'met'> => {
    const [a, b] = [quantile(samples.exec, share), quantile(samples.dockerode, share)];
    const peers = [`${ms(b)} (docker exec, dockerode)`];
    if (samples.cli.length > 0) peers.push(`${ms(quantile(samples.cli, share))} (docker exec, command line)`);
    return {
      what: `exec \`true\` from the typed client, p${100 * share}`,
      ours: ms(a),
      floor: peers.join(', '),
      comparison: `${(a / b).toFixed(2)} ×`,
    };
  };
  return [
    { ...row(0.5), target: '≤ 6 ms', met: median(samples.exec) <= 6 },
    explain(row(0.99)),
    explain({
      what: 'the same with streams over a WebSocket of its own, p50',
      ours: ms(median(samples.stream)),
      floor: `${ms(median(samples.dockerode))} (docker exec, dockerode)`,
      comparison: `${(median(samples.stream) / median(samples.dockerode)).toFixed(2)} ×`,
    }),
    explain({
      what: 'for comparison: a call that does nothing, and Node that spawns `true` on this machine, p50',
      ours: '',
      floor: `${ms(median(samples.call))}, ${ms(median(samples.spawn))}`,
      comparison: '',
    }),
  ];
}

async function bulkRows(
  controlPlane: Awaited<ReturnType<typeof startControlPlane>>,
  agentId: string,
  plain: DockerExec,
): Promise<readonly Row[]> {
  const { client, pid } = controlPlane;
  const rates = { typed: [] as number[], cli: [] as number[], dockerode: [] as number[], docker: [] as number[] };
  await warmUp(client, agentId);
  const before = await residentBytes(pid);
  let most = before;
  const watching = setInterval(() => void residentBytes(pid).then((now) => (most = Math.max(most, now))), 100);
  const rate = async (work: () => Promise<unknown>): Promise<number> => bulkBytes / 1e6 / ((await timed(work)) / 1000);
  const ourCli = [join(repositoryRoot, 'src/cli/main.ts'), 'exec', agentId, '--no-stdin', '--', ...gigabyte];
  const environment = { ...process.env, CAISSON_URL: controlPlane.url, CAISSON_API_KEY: controlPlane.apiKey };
  const hasDocker = (await dockerCommandLine(agentId)) !== undefined;
  for (let round = 0; round < bulkRounds; round++) {
    rates.typed.push(await rate(() => download(client, agentId)));
    rates.dockerode.push(await rate(() => plain.run(gigabyte)));
    rates.cli.push(await rate(() => runToNowhere(process.execPath, ourCli, environment)));
    if (hasDocker) {
      rates.docker.push(await rate(() => runToNowhere('docker', ['exec', agentId, ...gigabyte], process.env)));
    }
  }
  clearInterval(watching);
  const row = (what: string, ours: readonly number[], peer: readonly number[], name: string): Row => {
    const [a, b] = [median(ours), peer.length === 0 ? Number.NaN : median(peer)];
    return {
      what: `1 GiB of output ${what}, median`,
      ours: `${a.toFixed(0)} MB/s`,
      floor: `${b.toFixed(0)} MB/s (${name})`,
      comparison: percent(a / b),
      target: '≥ 100 MB/s',
      met: a >= 100,
    };
  };
  return [
    row('to the typed client', rates.typed, rates.dockerode, 'docker exec, dockerode'),
    row('through `caisson exec`', rates.cli, rates.docker, 'docker exec, command line'),
    {
      what: 'memory that the control plane took for it, at most',
      ours: `${((most - before) / 1e6).toFixed(0)} MB`,
      floor: `${(before / 1e6).toFixed(0)} MB (before)`,
      comparison: '',
      target: '≤ 64 MB',
      met: most - before <= 64e6,
    },
  ];
}

async function spawnTrue(client: CaissonClient, agentId: string): Promise<void> {
  const child = await client.processes.spawn({ agentId, command: ['true'] });
  const { exitCode } = await child.exit;
  if (exitCode !== 0) throw new Error(`true ended with ${String(exitCode)}`);
}

/** By this process. What a fork takes goes by the memory of who forks. */
async function spawnHere(): Promise<void> {
  const child = spawn('true', { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdout.resume();
  child.stderr.resume();
  await once(child, 'close');
}

/** What any stream takes: garbage that is not collected yet. */
async function warmUp(client: CaissonClient, agentId: string): Promise<void> {
  const child = await client.processes.spawn({ agentId, command: ['head', '-c', '128M', '/dev/zero'] });
  for await (const _ of child.stdout);
}

async function download(client: CaissonClient, agentId: string): Promise<void> {
  const child = await client.processes.spawn({ agentId, command: gigabyte });
  let bytes = 0;
  for await (const chunk of child.stdout) bytes += chunk.length;
  if (bytes !== bulkBytes) throw new Error(`${bytes} bytes came`);
}

async function runToNowhere(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let bytes = 0;
  child.stdout.on('data', (chunk: Buffer) => (bytes += chunk.length));
  await once(child, 'close');
  if (bytes !== bulkBytes) throw new Error(`${bytes} bytes came`);
}
