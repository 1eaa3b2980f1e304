import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { findProgram } from '../../../scripts/run-command.ts';
import { agentIdSchema } from '../../../src/kernel/ids.ts';
import { egressProxy, mostEgressConnections } from '../../../src/wire/contract/egress.ts';
import type { AttachedProcess } from '../../../src/wire/attached-process.ts';
import { GuestClient } from '../../../src/wire/guest-client.ts';
import { freePort } from '../../e2e/support/control-plane-process.ts';
import { run } from '../../guest/processes/outputs.ts';
import { context as explain, difference, megabytes, ms, percent, type Row } from '../report/row.ts';
import type { BenchContext } from '../rig/bench-context.ts';
import { startControlPlane } from '../rig/control-plane.ts';
import { hostProgram, programProgram } from '../rig/egress-programs.ts';
import { settledBytes } from '../rig/memory.ts';
import { loadProgram } from '../rig/preview-programs.ts';
import { median } from '../rig/statistics.ts';

const collector = join(import.meta.dirname, '../rig/collect-on-signal.ts');
const rounds = 3;
const held = 500;
/** Rounds until the allocator has what it needs (over 192 of them it took no more from the 72nd on), and rounds in all. */
const warmUp = 72;
const reopened = 120;
const timeoutMs = 120_000;
/** What the rounds may add to the memory of the control plane: the noise of its allocator. */
const flatBytes = 10e6;

const setUpsSchema = z.object({ p50: z.number(), p99: z.number() });
const rateSchema = z.object({ rate: z.number() });
const openSchema = z.object({ open: z.int() });
const loadSchema = z.object({ p50: z.number(), p99: z.number() });

interface Way {
  readonly name: string;
  readonly run: (options: object) => Promise<unknown>;
}

/**
 * Connections out of a sandbox to a host on this machine, beside the same on this machine directly and through tinyproxy, where
 * that is installed. Each begins with a TLS hello, which the gateway reads, as it does the host's answer.
 */
export async function egress(context: BenchContext): Promise<readonly Row[]> {
  await using undo = new AsyncDisposableStack();
  const host = spawn(process.execPath, ['-e', hostProgram], { stdio: ['ignore', 'pipe', 'inherit'] });
  undo.defer(() => end(host));
  const [said] = (await once(host.stdout, 'data')) as [Buffer];
  const target = Number(said.toString());
  const controlPlane = undo.use(
    await startControlPlane(context, {
      flags: ['--expose-gc', `--import=${collector}`],
      settings: { CAISSON_EGRESS_INTERNAL: `127.0.0.1:${target}` },
    }),
  );
  const agent = await controlPlane.client.agents.create.mutate({ name: 'outgoing', wait: true });
  const guest = new GuestClient(await context.provider.connect(agentIdSchema.parse(agent.id), 'inward'));
  undo.defer(() => guest.close());

  const ours: Way = {
    name: 'a sandbox',
    run: (options) => inSandbox(guest, { target, proxy: egressProxy.httpPort, ...options }),
  };
  const direct: Way = { name: 'directly', run: (options) => onHost({ target, proxy: null, ...options }) };
  const tinyproxyPort = await startTinyproxy(context, undo, target);
  const tinyproxy: Way[] =
    tinyproxyPort === undefined
      ? []
      : [{ name: 'tinyproxy', run: (options) => onHost({ target, proxy: tinyproxyPort, ...options }) }];
  const peers = [direct, ...tinyproxy];
  return [
    ...(await setUpRows(ours, peers)),
    ...(await rateRows(ours, peers)),
    ...(await crowdRows(guest, target, controlPlane.pid)),
  ];
}

async function setUpRows(ours: Way, peers: readonly Way[]): Promise<readonly Row[]> {
  const found = new Map<Way, z.infer<typeof setUpsSchema>[]>();
  for (let round = 0; round < rounds; round++) {
    for (const way of [ours, ...peers]) {
      found.set(way, [...(found.get(way) ?? []), setUpsSchema.parse(await way.run({ setUps: 400 }))]);
    }
  }
  const of = (way: Way | undefined, field: 'p50' | 'p99'): number =>
    median((way === undefined ? [] : (found.get(way) ?? [])).map((each) => each[field]));
  const list = (field: 'p50' | 'p99'): string => peers.map((way) => `${ms(of(way, field))} (${way.name})`).join(', ');
  const overhead = of(ours, 'p50') - of(peers[0], 'p50');
  return [
    {
      what: 'a connection out of a sandbox, until the answer to its TLS hello, p50',
      ours: ms(of(ours, 'p50')),
      floor: list('p50'),
      comparison: difference(overhead),
      target: '≤ +3 ms',
      met: overhead <= 3,
    },
    explain({
      what: 'the same, p99',
      ours: ms(of(ours, 'p99')),
      floor: list('p99'),
      comparison: difference(of(ours, 'p99') - of(peers[0], 'p99')),
    }),
  ];
}

async function rateRows(ours: Way, peers: readonly Way[]): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const bytes of ['down', 'up'] as const) {
    const rates = new Map<Way, number[]>();
    for (let round = 0; round < rounds; round++) {
      for (const way of [ours, ...peers]) {
        rates.set(way, [...(rates.get(way) ?? []), rateSchema.parse(await way.run({ bytes })).rate]);
      }
    }
    const of = (way: Way | undefined): number => median(way === undefined ? [] : (rates.get(way) ?? []));
    const nearest = peers.at(-1);
    const row = {
      what: bytes === 'down' ? '200 MB into a sandbox by one connection, median' : 'the same out of it',
      ours: `${of(ours).toFixed(0)} MB/s`,
      floor: peers.map((way) => `${of(way).toFixed(0)} MB/s (${way.name})`).join(', '),
      comparison: `${percent(of(ours) / of(nearest))} of ${nearest?.name ?? ''}`,
    };
    rows.push(bytes === 'down' ? { ...row, target: '≥ 80 MB/s', met: of(ours) >= 80 } : explain(row));
  }
  return rows;
}

/** Many connections at once: what they cost, and what they leave to the model. Garbage is collected before each look. */
async function crowdRows(guest: GuestClient, target: number, pid: number): Promise<readonly Row[]> {
  const model = async (): Promise<z.infer<typeof loadSchema>> =>
    loadSchema.parse(
      await runNode(guest, loadProgram, { port: 7777, path: '/v1/models', requests: 200, concurrency: 1 }),
    );
  const alone = await model();
  const memory = async (): Promise<number> => {
    await settledBytes(pid);
    process.kill(pid, 'SIGUSR2');
    return await settledBytes(pid);
  };
  const before = await memory();
  const options = { target, proxy: egressProxy.httpPort, hold: held };
  const holding = await guest.processes.attach({ command: ['node', '-e', programProgram, JSON.stringify(options)] });
  const lines = linesOf(holding);
  const opened = async (): Promise<number> => openSchema.parse(JSON.parse((await lines.next()).value ?? '')).open;
  let open = await opened();
  const beside = await model();
  let first = 0;
  for (let round = 1; round < reopened; round++) {
    if (round === warmUp) first = await memory();
    holding.stdin.write('again\n');
    open = Math.min(open, await opened());
  }
  const last = await memory();
  holding.stdin.end();
  return [
    {
      what: `${held} connections at once, opened ${reopened} times over: memory of the control plane after ${warmUp} times and after all`,
      ours: `${open} open, ${megabytes(first)}, ${megabytes(last)}`,
      floor: `${megabytes(before)} (before them; at most ${mostEgressConnections} are let)`,
      comparison: `${last >= first ? '+' : '−'}${megabytes(Math.abs(last - first))}`,
      target: `≥ 500, ≤ +${megabytes(flatBytes)}`,
      met: open >= held && last - first <= flatBytes,
    },
    explain({
      what: 'a request to the model endpoint beside them, p50',
      ours: ms(beside.p50),
      floor: `${ms(alone.p50)} (without them)`,
      comparison: difference(beside.p50 - alone.p50),
    }),
  ];
}

async function* linesOf({ output }: AttachedProcess): AsyncGenerator<string, undefined> {
  let rest = '';
  for await (const pieces of output) {
    for (const piece of pieces) {
      if (piece.stream === 'gap') throw new Error('an attached process loses nothing');
      if (piece.stream === 'stderr') throw new Error(piece.data.toString());
      const lines = (rest + piece.data.toString()).split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  }
}

async function onHost(options: object): Promise<unknown> {
  const args = ['-e', programProgram, JSON.stringify(options)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: timeoutMs });
  return JSON.parse(stdout);
}

async function inSandbox(guest: GuestClient, options: object): Promise<unknown> {
  return await runNode(guest, programProgram, options);
}

async function runNode(guest: GuestClient, program: string, options: object): Promise<unknown> {
  const { exitCode, output, stderr } = await run(guest, ['node', '-e', program, JSON.stringify(options)]);
  if (exitCode !== 0) throw new Error(stderr);
  return JSON.parse(output);
}

/** Its port; undefined where it is not installed. */
async function startTinyproxy(
  context: BenchContext,
  undo: AsyncDisposableStack,
  target: number,
): Promise<number | undefined> {
  const program = findProgram('tinyproxy') ?? findProgram('/usr/bin/tinyproxy');
  if (program === undefined) return undefined;
  const directory = await context.directory('tinyproxy');
  const port = await freePort();
  const configuration = join(directory, 'tinyproxy.conf');
  await writeFile(
    configuration,
    `Port ${port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 1000\nLogLevel Error\nDisableViaHeader Yes\nConnectPort ${target}\n`,
  );
  const child = spawn(program, ['-d', '-c', configuration], { stdio: 'ignore' });
  undo.defer(() => end(child));
  while (child.exitCode === null) {
    const socket = connect(port, '127.0.0.1');
    const isUp = await once(socket, 'connect').then(
      () => true,
      () => false, // not yet
    );
    socket.destroy();
    if (isUp) return port;
  }
  return undefined;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  child.kill();
  await once(child, 'exit');
}
