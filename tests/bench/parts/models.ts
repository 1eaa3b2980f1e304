import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { z } from 'zod';
import { context as explain, difference, ms, type Row } from '../report/row.ts';
import type { BenchContext } from '../rig/bench-context.ts';
import { median } from '../rig/statistics.ts';

const rounds = 3;
const streamsAtOnce = 200;
const callsOfAStream = 4;

const loadSchema = z.object({ p50: z.number(), p99: z.number() });
type Load = z.infer<typeof loadSchema>;

/**
 * The time to the first byte of a model's answer through the gateway, beside the same requests straight to the service. The
 * service, the gateway and the load are a process each; the gateway has a store on the disk, and counts every call. Answers
 * begin at once and last four seconds, so that those of all streams are under way together.
 */
export async function models(context: BenchContext): Promise<readonly Row[]> {
  await using undo = new AsyncDisposableStack();
  const start = async (name: string, args: readonly string[]): Promise<unknown> => {
    const child = fork(join(import.meta.dirname, '../rig', name), args);
    undo.defer(() => end(child));
    return ((await once(child, 'message')) as unknown[])[0];
  };
  const modelUrl = z.string().parse(await start('steady-model-main.ts', []));
  const directory = await context.directory('gateway');
  await start('gateway-main.ts', [directory, modelUrl]);
  const gateway = join(directory, 'outward.sock');
  return [
    ...(await compare({ modelUrl, gateway, streams: 1 })),
    ...(await compare({ modelUrl, gateway, streams: streamsAtOnce })),
  ];
}

interface Comparison {
  readonly modelUrl: string;
  readonly gateway: string;
  readonly streams: number;
}

async function compare({ modelUrl, gateway, streams }: Comparison): Promise<readonly Row[]> {
  const [ours, direct]: [Load[], Load[]] = [[], []];
  // In turn, so that what else the machine does falls on both alike.
  for (let round = 0; round < rounds; round++) {
    direct.push(await load(streams, modelUrl));
    ours.push(await load(streams, gateway));
  }
  const row = (share: keyof Load, target: number): Row => {
    const [a, b] = [ours, direct].map((loads) => median(loads.map((each) => each[share])));
    const [a1, b1] = [a ?? Number.NaN, b ?? Number.NaN];
    const what = `first byte through the model gateway, ${streams} at a time, ${share}`;
    const figures = {
      what,
      ours: ms(a1),
      floor: `${ms(b1)} (straight to the service)`,
      comparison: difference(a1 - b1),
    };
    if (streams === 1) return explain(figures);
    return { ...figures, target: `≤ +${target} ms`, met: a1 - b1 <= target };
  };
  return [row('p50', 1), row('p99', 5)];
}

async function load(streams: number, address: string): Promise<Load> {
  const child = fork(join(import.meta.dirname, '../rig/model-load-main.ts'), [
    String(streams),
    String(callsOfAStream),
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
  return loadSchema.parse(told[0]);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exited = once(child, 'exit');
  child.disconnect();
  await exited;
}
