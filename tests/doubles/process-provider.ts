import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import type { Duplex } from 'node:stream';
import { z } from 'zod';
import { CaissonError } from '../../src/kernel/errors.ts';
import { type AgentId, agentIdSchema } from '../../src/kernel/ids.ts';
import { KeyedQueue } from '../../src/kernel/keyed-queue.ts';
import { diskSpaceAt } from '../../src/sandbox-providers/contract/disk-space.ts';
import type {
  DiskSpace,
  DiskUse,
  ProviderCapabilities,
  Sandbox,
  SandboxLoad,
  SandboxProvider,
  SandboxSpec,
  WireChannel,
} from '../../src/sandbox-providers/contract/sandbox-provider.ts';
import { walkFromHost } from '../../src/sandbox-providers/docker/host-walk.ts';
import { guestEnvironment } from '../../src/wire/contract/guest-api.ts';
import { connectWhenListening } from './connect-when-listening.ts';
import { endGroup, freezeGroup, groupState, processGroup } from './process-group.ts';

type CommandLine = readonly [program: string, ...args: string[]];

export interface ProcessProviderOptions {
  /** An existing directory; every sandbox is a folder in it. Another provider on the same one finds them again. */
  readonly root: string;
  /** The command line that each image stands for. */
  readonly images: Readonly<Record<string, CommandLine>>;
}

/** What the folder of a sandbox says about it, in `sandbox.json`. */
const recordSchema = z.object({
  image: z.string(),
  createdAt: z.number(),
  group: z.object({ pid: z.int().positive(), startTicks: z.string() }),
  /** What it was started from, as JSON. */
  spec: z.string(),
});
type SandboxRecord = z.infer<typeof recordSchema>;

/**
 * A DOUBLE, for tests and machines without an engine: the guest runs as a plain process group with a workspace, a home
 * and a directory for its sockets. It keeps the provider contract and **isolates nothing**. Linux only. A process that
 * leaves the group is not found again.
 */
export class ProcessProvider implements SandboxProvider {
  readonly name = 'process';
  readonly capabilities: ProviderCapabilities = { pause: true, limits: false, sealedNetwork: false, disk: true };
  readonly #options: ProcessProviderOptions;
  readonly #changes = new KeyedQueue<AgentId>();
  readonly #streams = new Set<Duplex>();

  constructor(options: ProcessProviderOptions) {
    this.#options = options;
  }

  /** Holds `workspace`, `home`, `run` and the guest's output in `guest.log`. */
  directory(agentId: AgentId): string {
    return join(this.#options.root, agentId);
  }

  async check(): Promise<{ readonly description: string }> {
    await this.#assertRoot();
    return { description: 'plain processes, no isolation' };
  }

  ensureRunning(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> {
    return this.#changes.run(spec.agentId, () => this.#bringUp(spec, signal), signal);
  }

  async find(agentId: AgentId): Promise<Sandbox | undefined> {
    const record = await this.#read(agentId);
    return record && sandboxFrom(agentId, record);
  }

  async list(): Promise<readonly Sandbox[]> {
    await this.#assertRoot();
    const sandboxes: Sandbox[] = [];
    for (const name of await readdir(this.#options.root)) {
      const agentId = agentIdSchema.safeParse(name).data;
      const sandbox = agentId && (await this.find(agentId));
      if (sandbox) sandboxes.push(sandbox);
    }
    return sandboxes;
  }

  stop(agentId: AgentId): Promise<void> {
    return this.#changes.run(agentId, async () => {
      const record = await this.#read(agentId);
      if (record) await endGroup(record.group);
    });
  }

  pause(agentId: AgentId): Promise<void> {
    return this.#changes.run(agentId, () => this.#freeze(agentId, true));
  }

  resume(agentId: AgentId): Promise<void> {
    return this.#changes.run(agentId, () => this.#freeze(agentId, false));
  }

  destroy(agentId: AgentId): Promise<void> {
    return this.#changes.run(agentId, async () => {
      const record = await this.#read(agentId);
      if (record) await endGroup(record.group);
      await rm(this.directory(agentId), { recursive: true, force: true });
    });
  }

  async measureDisk(agentId: AgentId, signal = new AbortController().signal): Promise<DiskUse> {
    await this.#assertRoot();
    const folders = ['workspace', 'home'].map((name) => join(this.directory(agentId), name));
    return { method: 'walk', usedBytes: (await walkFromHost(folders, signal)) ?? 0 };
  }

  async diskSpace(): Promise<DiskSpace> {
    await this.#assertRoot();
    return await diskSpaceAt(this.#options.root);
  }

  async load(agentId: AgentId): Promise<SandboxLoad | undefined> {
    const isRunning = (await this.find(agentId))?.state === 'running';
    return isRunning ? { cpus: 0, memoryBytes: 1, pids: 1, startedAt: 0 } : undefined;
  }

  async connect(agentId: AgentId, channel: WireChannel, signal?: AbortSignal): Promise<Duplex> {
    const isRunning = async (): Promise<boolean> => (await this.find(agentId))?.state === 'running';
    const path = join(this.directory(agentId), 'run', `${channel}.sock`);
    const stream = await connectWhenListening(path, isRunning, signal);
    if (!stream) throw notRunning(agentId);
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    return stream;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stream of this.#streams) stream.destroy();
  }

  async #bringUp(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> {
    const before = await this.#read(spec.agentId);
    const current = before && (await sandboxFrom(spec.agentId, before));
    if (before?.spec === JSON.stringify(spec) && current && current.state !== 'stopped') {
      await freezeGroup(before.group, false);
      return { ...current, state: 'running' };
    }
    const command = this.#options.images[spec.image];
    if (!command) throw new CaissonError('SANDBOX_IMAGE_MISSING', `There is no image ${spec.image}.`);
    if (before) await endGroup(before.group);
    signal?.throwIfAborted();
    try {
      const pid = await this.#start(spec, command);
      const group = await processGroup(pid);
      const createdAt = before?.createdAt ?? Date.now();
      const record: SandboxRecord = { image: spec.image, createdAt, group, spec: JSON.stringify(spec) };
      await this.#write(spec.agentId, record);
      return await sandboxFrom(spec.agentId, record);
    } catch (cause) {
      if (!before) await rm(this.directory(spec.agentId), { recursive: true, force: true });
      throw new CaissonError('SANDBOX_START_FAILED', `The process of ${spec.agentId} did not start.`, { cause });
    }
  }

  async #start(spec: SandboxSpec, [program, ...args]: CommandLine): Promise<number> {
    const directory = this.directory(spec.agentId);
    await rm(join(directory, 'run'), { recursive: true, force: true });
    for (const folder of ['workspace', 'home', 'run']) {
      await mkdir(join(directory, folder), { recursive: true, mode: 0o700 });
    }
    await using log = await open(join(directory, 'guest.log'), 'a');
    const child = spawn(program, args, {
      cwd: join(directory, 'workspace'),
      detached: true, // a group of its own, which outlives this process as a container does
      stdio: ['ignore', log.fd, log.fd],
      env: {
        PATH: process.env['PATH'],
        HOME: join(directory, 'home'),
        ...spec.environment,
        [guestEnvironment.runDirectory]: join(directory, 'run'),
        [guestEnvironment.modelPort]: String(await freePort()),
        [guestEnvironment.httpProxyPort]: String(await freePort()),
        [guestEnvironment.socksProxyPort]: String(await freePort()),
      },
    });
    await once(child, 'spawn');
    child.unref();
    return z.int().parse(child.pid);
  }

  async #freeze(agentId: AgentId, frozen: boolean): Promise<void> {
    const record = await this.#read(agentId);
    if (!record || (await groupState(record.group)) === 'stopped') throw notRunning(agentId);
    await freezeGroup(record.group, frozen);
  }

  async #read(agentId: AgentId): Promise<SandboxRecord | undefined> {
    await this.#assertRoot();
    try {
      return recordSchema.parse(JSON.parse(await readFile(join(this.directory(agentId), 'sandbox.json'), 'utf8')));
    } catch (thrown) {
      if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return undefined;
      throw thrown;
    }
  }

  /** Replaces the record in one step: others read it at any time. */
  async #write(agentId: AgentId, record: SandboxRecord): Promise<void> {
    const path = join(this.directory(agentId), 'sandbox.json');
    await writeFile(`${path}.new`, JSON.stringify(record));
    await rename(`${path}.new`, path);
  }

  async #assertRoot(): Promise<void> {
    try {
      await access(this.#options.root, constants.R_OK | constants.W_OK);
    } catch (cause) {
      throw new CaissonError('PROVIDER_UNAVAILABLE', `${this.#options.root} cannot be used.`, { cause });
    }
  }
}

async function sandboxFrom(agentId: AgentId, { image, createdAt, group }: SandboxRecord): Promise<Sandbox> {
  return { agentId, state: await groupState(group), ended: null, providerId: String(group.pid), image, createdAt };
}

function notRunning(agentId: AgentId): CaissonError {
  return new CaissonError('SANDBOX_NOT_RUNNING', `The sandbox of ${agentId} is not running.`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return z.object({ port: z.int() }).parse(address).port;
}
