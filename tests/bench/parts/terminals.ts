import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { spawn } from '@lydell/node-pty';
import type { CaissonClient, TerminalAttachment } from '../../../src/client/index.ts';
import { context as explain, ms, type Row } from '../report/row.ts';
import type { BenchContext } from '../rig/bench-context.ts';
import { startControlPlane } from '../rig/control-plane.ts';
import { quantile } from '../rig/statistics.ts';

const idleKeys = 1_500;
const busyKeys = 400;
/** From one key to the next in what is compared under load: a very fast typist holds a key down. */
const keyEveryMs = 10;

/** Sends a byte and resolves with how long its echo took. */
type Echo = () => Promise<number>;

/**
 * The echo of a key in a terminal (`cat` in raw mode without echo, so that one write comes back), through the typed client, the
 * WebSocket with its key, the control plane and the wire; beside Docker's own terminal and one on this machine.
 */
export async function terminals(context: BenchContext): Promise<readonly Row[]> {
  await using controlPlane = await startControlPlane(context);
  const { client } = controlPlane;
  const { id: agentId } = await client.agents.create.mutate({ name: 'terminals', wait: true });
  await using ours = await openOurs(client, agentId);
  using docker = openLocal('docker', ['exec', '-it', agentId, 'sh', '-c', catRaw]);
  using local = openLocal('sh', ['-c', catRaw]);
  await Promise.all([ours.ready, docker.ready, local.ready]);

  const idle = await measureEach([ours.echo, docker.echo, local.echo], idleKeys, 0);
  const [mine = [], theirs = [], floor = []] = idle;
  const rows: Row[] = [];
  for (const [share, target] of [
    [0.5, 1.5],
    [0.99, 4.3],
  ] as const) {
    const a = quantile(mine, share);
    rows.push({
      what: `echo of a key in a terminal, p${100 * share}`,
      ours: ms(a),
      floor: `${ms(quantile(theirs, share))} (docker exec -it), ${ms(quantile(floor, share))} (a pty of this machine)`,
      comparison: `${(a / quantile(theirs, share)).toFixed(2)} ×`,
      target: `≤ ${target} ms`,
      met: a <= target,
    });
  }

  const typed = async (): Promise<readonly number[]> => (await measureEach([ours.echo], busyKeys, keyEveryMs))[0] ?? [];
  const quiet = await typed();
  for (const [what, kind] of [
    ['while 20,000 files are written', 'files'],
    ['while 1 GB of output streams out of the sandbox', 'output'],
    ['while `yes` runs in another terminal, with a reader', 'yes'],
  ] as const) {
    context.log(what);
    await using _load = await startLoad(kind, [agentId, controlPlane.url, controlPlane.apiKey]);
    rows.push(...underLoad({ what, isBound: kind === 'files' }, await typed(), quiet));
  }
  return rows;
}

function underLoad(
  { what, isBound }: { readonly what: string; readonly isBound: boolean },
  busy: readonly number[],
  quiet: readonly number[],
): readonly Row[] {
  const at = (share: number): Omit<Row, 'target' | 'met'> => {
    const [a, b] = [quantile(busy, share), quantile(quiet, share)];
    return {
      what: `the same ${what}, p${100 * share}`,
      ours: ms(a),
      floor: `${ms(b)} (idle, a key every ${keyEveryMs} ms)`,
      comparison: `${(a / b).toFixed(2)} ×`,
    };
  };
  const ratio = quantile(busy, 0.5) / quantile(quiet, 0.5);
  const half = isBound ? { ...at(0.5), target: '≤ 2 ×', met: ratio <= 2 } : explain(at(0.5));
  return [half, explain(at(0.99))];
}

const catRaw = 'stty raw -echo; printf READY; exec cat';

/** Runs `kind` of `rig/load-main.ts` in a process of its own; disposing it ends the work. */
async function startLoad(kind: string, arguments_: readonly string[]): Promise<AsyncDisposable> {
  const child = fork(join(import.meta.dirname, '../rig/load-main.ts'), [kind, ...arguments_]);
  await once(child, 'message');
  await pause(500); // until it has got going
  return {
    async [Symbol.asyncDispose]() {
      const exited = once(child, 'exit');
      child.disconnect();
      await exited;
    },
  };
}

async function measureEach(echoes: readonly Echo[], keys: number, everyMs: number): Promise<readonly number[][]> {
  const times = echoes.map(() => [] as number[]);
  for (let key = -50; key < keys; key++) {
    for (const [at, echo] of echoes.entries()) {
      const took = await echo();
      if (key >= 0) times[at]?.push(took);
    }
    if (everyMs > 0) await pause(everyMs);
  }
  return times;
}

async function openOurs(client: CaissonClient, agentId: string) {
  const { id: terminalId } = await client.terminals.open.mutate({ agentId, command: ['sh', '-c', catRaw] });
  const attachment = await client.terminals.attach({ agentId, terminalId });
  const listener = new Listener();
  void readInto(attachment, listener);
  return {
    ready: listener.ready,
    echo: () => listener.time(() => void attachment.write('x')),
    [Symbol.asyncDispose]: () => attachment.detach(),
  };
}

async function readInto(attachment: TerminalAttachment, listener: Listener): Promise<void> {
  for await (const chunk of attachment.output) listener.take(Buffer.from(chunk).toString('latin1'));
}

function openLocal(program: string, args: readonly string[]) {
  const directory = mkdtempSync(join(tmpdir(), 'caisson-bench-pty-'));
  const listener = new Listener();
  const pty = spawn(program, [...args], { cwd: directory, cols: 80, rows: 24 });
  pty.onData((text) => listener.take(text));
  return {
    ready: listener.ready,
    echo: () => listener.time(() => pty.write('x')),
    [Symbol.dispose]() {
      pty.kill('SIGKILL');
      rmSync(directory, { recursive: true });
    },
  };
}

/** Waits for READY, and then for one echo after the other. */
class Listener {
  readonly #ready = Promise.withResolvers<void>();
  #text = '';
  #isReady = false;
  #heard: () => void = () => undefined;

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  take(text: string): void {
    if (this.#isReady) return this.#heard();
    this.#text += text;
    if (!this.#text.includes('READY')) return;
    this.#isReady = true;
    this.#ready.resolve();
  }

  async time(send: () => void): Promise<number> {
    const heard = new Promise<void>((resolve) => (this.#heard = resolve));
    const started = performance.now();
    send();
    await heard;
    return performance.now() - started;
  }
}
