import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { z } from 'zod';
import { startFlags } from '../../../scripts/start-options.mjs';
import { context as explain, difference, ms, type Row } from '../report/row.ts';
import type { BenchContext } from '../rig/bench-context.ts';
import { quantile } from '../rig/statistics.ts';

const secondsOfRound = 4;
/** `steady-model-main.ts` */
const answerSeconds = 2;

const timesSchema = z.array(z.number());
/** Its header `x-litellm-overhead-duration-ms`, at 1,170 calls a second through four machines of four cores: docs.litellm.ai/docs/benchmarks. */
const liteLlm: Readonly<Record<number, string>> = { 0.5: '2 ms', 0.99: '13 ms' };

/**
 * The time to the first byte of a model's answer through the gateway, beside the same requests straight to the service. The
 * service, the gateway and the load are a process each; the gateway has a store on the disk, and counts every call. Beside it, a
 * process of bare Node that only passes on. Calls come at random moments, and answers last two seconds, so that about as many are under way as are named.
 */
export async function models(context: BenchContext): Promise<readonly Row[]> {
  await using undo = new AsyncDisposableStack();
  const start = (name: string, args: readonly string[], flags: readonly string[] = []): ChildProcess => {
    const child = fork(join(import.meta.dirname, '../rig', name), args, { execArgv: [...flags] });
    undo.defer(() => end(child));
    return child;
  };
  const modelUrl = z.string().parse(await answerOf(start('steady-model-main.ts', [])));
  const directory = await context.directory('gateway');
  const gatewayProcess = start('gateway-main.ts', [directory, modelUrl], startFlags);
  await answerOf(gatewayProcess);
  const gateway = join(directory, 'outward.sock');
  const bareDirectory = await context.directory('bare');
  await answerOf(start('bare-gateway-main.ts', [bareDirectory, modelUrl]));
  const bare = join(bareDirectory, 'outward.sock');
  return [
    ...(await compare({ modelUrl, gateway, gatewayProcess, bare, streams: 20, rounds: 1 })),
    ...(await compare({ modelUrl, gateway, gatewayProcess, bare, streams: 200, rounds: 3 })),
  ];
}

interface Comparison {
  readonly modelUrl: string;
  readonly gateway: string;
  readonly gatewayProcess: ChildProcess;
  readonly bare: string;
  readonly streams: number;
  readonly rounds: number;
}

async function compare(comparison: Comparison): Promise<readonly Row[]> {
  const { modelUrl, gateway, gatewayProcess, bare, streams, rounds } = comparison;
  const [ours, direct, through, own]: [number[], number[], number[], number[]] = [[], [], [], []];
  // In turn, so that what else the machine does falls on both alike.
  for (let round = 0; round < rounds; round++) {
    direct.push(...(await load(streams, modelUrl)));
    through.push(...(await load(streams, bare)));
    const times = await load(streams, gateway);
    ours.push(...times);
    gatewayProcess.send('overheads');
    own.push(...timesSchema.parse(await answerOf(gatewayProcess)).slice(-times.length)); // all last as long: the first ones warm up
  }
  const row = (share: number, target: number): Row => {
    const [a, b, c] = [quantile(ours, share), quantile(direct, share), quantile(through, share)];
    const figures = {
      what: `first byte through the model gateway, ${streams} streams at a time, p${100 * share}`,
      ours: ms(a),
      floor: `${ms(b)} (straight to the service), ${ms(c)} (through bare Node)`,
      comparison: `${difference(a - b)}, ${difference(a - c)}`,
    };
    if (streams < 200) return explain(figures);
    return { ...figures, target: `≤ +${target} ms`, met: a - b <= target };
  };
  const ownRow = (share: number, target: number): Row => {
    const a = quantile(own, share);
    const figures = {
      what: `of that, what the gateway takes itself: without the wait for the service, ${streams} streams at a time, p${100 * share}`,
      ours: ms(a),
      floor: `${liteLlm[share] ?? ''} (as LiteLLM publishes it of itself, on 16 cores)`,
      comparison: '',
    };
    if (streams < 200) return explain(figures);
    return { ...figures, target: `≤ ${target} ms`, met: a <= target };
  };
  return [row(0.5, 1), row(0.99, 5), ownRow(0.5, 1), ownRow(0.99, 5)];
}

/** The next message of a process. */
async function answerOf(child: ChildProcess): Promise<unknown> {
  return ((await once(child, 'message')) as unknown[])[0];
}

/** The time of each call, in milliseconds. */
async function load(streams: number, address: string): Promise<readonly number[]> {
  const child = fork(join(import.meta.dirname, '../rig/model-load-main.ts'), [
    String(streams / answerSeconds),
    String(secondsOfRound),
    address,
  ]);
  const exited = once(child, 'exit');
  const told: unknown[] = await Promise.race([
    once(child, 'message'),
    exited.then(() => {
      throw new Error('the load ended without its figures');
    }),
  ]);
  await exited;
  return timesSchema.parse(told[0]);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exited = once(child, 'exit');
  child.disconnect();
  await exited;
}
