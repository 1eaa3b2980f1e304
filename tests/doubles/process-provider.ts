import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants, mkdir, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import type { Duplex } from 'node:stream';
import { setTimeout as pass } from 'node:timers/promises';
import { z } from 'zod';
import { CaissonError } from '../../src/kernel/errors.ts';
import { type AgentId, agentIdSchema } from '../../src/kernel/ids.ts';
import { KeyedQueue } from '../../src/kernel/keyed-queue.ts';
import type {
  ProviderCapabilities,
  Sandbox,
  SandboxProvider,
  SandboxSpec,
  SandboxState,
  WireChannel,
} from '../../src/sandbox-providers/contract/sandbox-provider.ts';
import { guestEnvironment } from '../../src/wire/contract/guest-api.ts';
import { connectWhenListening } from './unix-socket.ts';

export interface ProcessProviderOptions {
  /** An existing directory; every sandbox is a folder in it. Another provider on the same one finds them again. */
  readonly root: string;
  /** The command line that each image stands for. */
  readonly images: Readonly<Record<string, readonly [program: string, ...args: string[]]>>;
}

const recordSchema = z.object({
  image: z.string(),
  createdAt: z.number(),
  /** Leader of the sandbox's process group. */
  pid: z.int().positive(),
  /** Its start time in clock ticks, so that a reused pid is not taken for it. */
  startTicks: z.string(),
  spec: z.string(),
});
type Record = z.infer<typeof recordSchema>;

/**
 * A DOUBLE, for tests and machines without an engine: the guest runs as a plain process group with a workspace, a home
 * and a directory for its sockets. It keeps the provider contract and **isolates nothing**. Linux only. Processes
 * that leave the group are not found.
 */
export class ProcessProvider implements SandboxProvider {
  readonly name = 'process';
  readonly capabilities: ProviderCapabilities = { pause: true, limits: false, sealedNetwork: false };
  readonly #options: ProcessProviderOptions;
  readonly #changes = new KeyedQueue<AgentId>();
  readonly #streams = new Set<Duplex>();

  constructor(options: ProcessProviderOptions) {
    this.#options = options;
  }

  async check(): Promise<{ readonly description: string }> {
    await this.#assertRoot();
    return { description: 'plain processes, no isolation' };
  }

  ensureRunning(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> {
    return this.#changes.run(spec.agentId, () => this.#bringUp(spec, signal), signal);
  }

  async find(agentId: AgentId): Promise<Sandbox | undefined> {
    await this.#assertRoot();
    const record = await this.#read(agentId);
    return record && this.#sandbox(agentId, record);
  }

  async list(): Promise<readonly Sandbox[]> {
    await this.#assertRoot();
    const sandboxes: Sandbox[] = [];
    for (const name of await readdir(this.#options.root)) {
      const agentId = agentIdSchema.safeParse(name).data;
      const record = agentId && (await this.#read(agentId));
      if (agentId && record) sandboxes.push(await this.#sandbox(agentId, record));
    }
    return sandboxes;
  }

  stop(agentId: AgentId): Promise<void> {
    return this.#changes.run(agentId, async () => {
      const record = await this.#read(agentId);
      if (record) await endGroup(record);
    });
  }

  pause(agentId: AgentId): Promise<void> {
    return this.#changes.run(agentId, () => this.#signal(agentId, 'SIGSTOP', 'paused'));
  }

  resume(agentId: AgentId): Promise<void> {
    return this.#changes.run(agentId, () => this.#signal(agentId, 'SIGCONT', 'running'));
  }

  destroy(agentId: AgentId): Promise<void> {
    return this.#changes.run(agentId, async () => {
      await this.#assertRoot();
      const record = await this.#read(agentId);
      if (record) await endGroup(record);
      await rm(this.directory(agentId), { recursive: true, force: true });
    });
  }

  async connect(agentId: AgentId, channel: WireChannel, signal?: AbortSignal): Promise<Duplex> {
    const isRunning = async (): Promise<boolean> => (await this.find(agentId))?.state === 'running';
    const stream = await connectWhenListening(join(this.directory(agentId), 'run', `${channel}.sock`), isRunning, signal);
    if (!stream) throw notRunning(agentId);
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    return stream;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stream of this.#streams) stream.destroy();
  }

  /** Holds `workspace`, `home`, `run` and the guest's output in `guest.log`. */
  directory(agentId: AgentId): string {
    return join(this.#options.root, agentId);
  }

  async #bringUp(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> {
    await this.#assertRoot();
    const command = this.#options.images[spec.image];
    if (!command) throw new CaissonError('SANDBOX_IMAGE_MISSING', `There is no image ${spec.image}.`);
    const before = await this.#read(spec.agentId);
    if (before?.spec === JSON.stringify(spec)) {
      const { state } = await this.#sandbox(spec.agentId, before);
      if (state === 'paused') await this.#signal(spec.agentId, 'SIGCONT', 'running');
      if (state !== 'stopped') return this.#sandbox(spec.agentId, before);
    }
    if (before) await endGroup(before);
    signal?.throwIfAborted();
    try {
      const record = await this.#start(spec, command, before?.createdAt ?? Date.now());
      await writeFile(join(this.directory(spec.agentId), 'sandbox.json'), JSON.stringify(record));
      return await this.#sandbox(spec.agentId, record);
    } catch (cause) {
      if (!before) await rm(this.directory(spec.agentId), { recursive: true, force: true });
      throw new CaissonError('SANDBOX_START_FAILED', `The process of ${spec.agentId} did not start.`, { cause });
    }
  }

  async #start(spec: SandboxSpec, [program, ...args]: readonly [string, ...string[]], createdAt: number): Promise<Record> {
    const directory = this.directory(spec.agentId);
    await rm(join(directory, 'run'), { recursive: true, force: true });
    for (const folder of ['workspace', 'home', 'run']) await mkdir(join(directory, folder), { recursive: true, mode: 0o700 });
    await using log = await open(join(directory, 'guest.log'), 'a');
    const child = spawn(program, args, {
      cwd: join(directory, 'workspace'),
      detached: true, // its own process group, and it survives this process as a container does
      stdio: ['ignore', log.fd, log.fd],
      env: {
        PATH: process.env['PATH'],
        HOME: join(directory, 'home'),
        ...spec.environment,
        [guestEnvironment.runDirectory]: join(directory, 'run'),
        [guestEnvironment.modelPort]: String(await freePort()),
      },
    });
    await once(child, 'spawn');
    child.unref();
    const pid = z.int().parse(child.pid);
    const startTicks = (await processStat(pid))?.startTicks ?? '';
    return { image: spec.image, createdAt, pid, startTicks, spec: JSON.stringify(spec) };
  }

  async #signal(agentId: AgentId, signal: 'SIGSTOP' | 'SIGCONT', wanted: SandboxState): Promise<void> {
    await this.#assertRoot();
    const record = await this.#read(agentId);
    if (!record || (await stateOf(record)) === 'stopped') throw notRunning(agentId);
    process.kill(-record.pid, signal);
    while ((await stateOf(record)) !== wanted) await pass(1);
  }

  async #read(agentId: AgentId): Promise<Record | undefined> {
    try {
      return recordSchema.parse(JSON.parse(await readFile(join(this.directory(agentId), 'sandbox.json'), 'utf8')));
    } catch (thrown) {
      if (hasCode(thrown, 'ENOENT')) return undefined;
      throw thrown;
    }
  }

  async #sandbox(agentId: AgentId, record: Record): Promise<Sandbox> {
    const { image, createdAt, pid } = record;
    return { agentId, state: await stateOf(record), providerId: String(pid), image, createdAt };
  }

  async #assertRoot(): Promise<void> {
    try {
      await access(this.#options.root, constants.R_OK | constants.W_OK);
    } catch (cause) {
      throw new CaissonError('PROVIDER_UNAVAILABLE', `${this.#options.root} cannot be used.`, { cause });
    }
  }
}

function notRunning(agentId: AgentId): CaissonError {
  return new CaissonError('SANDBOX_NOT_RUNNING', `The sandbox of ${agentId} is not running.`);
}

async function stateOf({ pid, startTicks }: Record): Promise<SandboxState> {
  const stat = await processStat(pid);
  if (!stat || stat.startTicks !== startTicks || 'ZX'.includes(stat.state)) return 'stopped';
  return stat.state === 'T' ? 'paused' : 'running';
}

/** SIGTERM to every process, SIGKILL after 3 s; done when none is left. */
async function endGroup(record: Record): Promise<void> {
  if ((await stateOf(record)) === 'stopped' && !signalGroup(record.pid, 'SIGTERM')) return;
  signalGroup(record.pid, 'SIGTERM');
  signalGroup(record.pid, 'SIGCONT');
  const patienceEnds = Date.now() + 3000;
  while (signalGroup(record.pid, Date.now() < patienceEnds ? 0 : 'SIGKILL')) await pass(5);
}

/** Whether the group has a process. */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal);
  } catch (thrown) {
    if (hasCode(thrown, 'ESRCH')) return false;
    throw thrown;
  }
}

async function processStat(pid: number): Promise<{ readonly state: string; readonly startTicks: string } | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', startTicks: fields[19] ?? '' };
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT') || hasCode(thrown, 'ESRCH')) return undefined;
    throw thrown;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return z.object({ port: z.int() }).parse(address).port;
}

function hasCode(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === code;
}
