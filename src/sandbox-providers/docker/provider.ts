import type { Duplex } from 'node:stream';
import { CaissonError, errorText } from '../../kernel/errors.ts';
import type { AgentId } from '../../kernel/ids.ts';
import { KeyedQueue } from '../../kernel/keyed-queue.ts';
import type {
  DiskSpace,
  DiskUse,
  ProviderCapabilities,
  Sandbox,
  SandboxLoad,
  SandboxProvider,
  SandboxSpec,
  StopOptions,
  WireChannel,
} from '../contract/sandbox-provider.ts';
import { bringUp } from './bring-up.ts';
import { connectChannel } from './connect.ts';
import { stopGraceSeconds } from './container-options.ts';
import { Docker } from './docker-client.ts';
import { engineSpace, measurerName, measureVolumes } from './disk.ts';
import { Engine, type EngineTimeouts } from './engine.ts';
import { EngineRefusal } from './engine-call.ts';
import { loadFrom } from './load.ts';
import { sandboxFromInspect, sandboxFromListing, sandboxFromVolume, stateOf } from './sandbox.ts';

export interface DockerProviderOptions {
  /** Name of this installation. Several on one engine see, and reap, only their own sandboxes. */
  readonly instance: string;
  /** Where the engine is. Default: DOCKER_HOST and its companions, else the local socket. */
  readonly engine?: Docker.DockerOptions;
  readonly timeouts?: Partial<EngineTimeouts>;
  /**
   * Reaches the guest by a pipe that the engine starts in the sandbox, also where its sockets could be opened directly:
   * on this machine, by root. Default false.
   */
  readonly pipesOnly?: boolean;
}

const mostListed = 10_000;

/**
 * One container an agent, named by its key, without a network; workspace and home are volumes. Uses nothing but the
 * engine's API, so a remote engine works like a local one; with a local one the bytes of the wire take a shorter way. Calls that change an agent's sandbox run one at a time;
 * other processes on the same engine are met by looking again, never by a lock. Disposing it closes its streams and
 * leaves the sandboxes as they are.
 */
export class DockerProvider implements SandboxProvider {
  readonly name = 'docker';
  readonly capabilities: ProviderCapabilities = { pause: true, limits: true, sealedNetwork: true, disk: true };
  readonly #engine: Engine;
  readonly #changes = new KeyedQueue<AgentId>();
  readonly #streams = new Set<Duplex>();
  readonly #pipesOnly: boolean;

  constructor({ instance, engine, timeouts, pipesOnly = false }: DockerProviderOptions) {
    this.#engine = new Engine(openDocker(engine), instance, { quickMs: 10_000, slowMs: 120_000, ...timeouts });
    this.#pipesOnly = pipesOnly;
  }

  async check(signal?: AbortSignal): Promise<{ readonly description: string }> {
    const version = await this.#ask('Asking for the version', () => this.#engine.version(signal));
    return { description: `Docker ${version.Version}` };
  }

  ensureRunning(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> {
    return this.#change(spec.agentId, 'Starting', () => bringUp(this.#engine, spec, signal), signal);
  }

  find(agentId: AgentId): Promise<Sandbox | undefined> {
    return this.#ask(`Looking for ${agentId}`, async () => {
      const container = await this.#engine.inspectOwn(agentId);
      if (container) return sandboxFromInspect(agentId, container);
      const [volume] = await this.#engine.listVolumes(agentId);
      return volume && sandboxFromVolume(volume);
    });
  }

  list(): Promise<readonly Sandbox[]> {
    return this.#ask('Listing the sandboxes', async () => {
      // Volumes first: one whose container is just being made then has it in the second answer.
      const volumes = await this.#engine.listVolumes();
      const containers = await this.#engine.listContainers();
      const sandboxes = new Map<AgentId, Sandbox>();
      for (const sandbox of [...volumes.map(sandboxFromVolume), ...containers.map(sandboxFromListing)]) {
        if (sandbox) sandboxes.set(sandbox.agentId, sandbox);
      }
      return [...sandboxes.values()].slice(0, mostListed);
    });
  }

  stop(agentId: AgentId, { atOnce = false }: StopOptions = {}): Promise<void> {
    return this.#change(agentId, 'Stopping', async () => {
      if (await this.#engine.inspectOwn(agentId)) await this.#engine.stop(agentId, atOnce ? 0 : stopGraceSeconds);
    });
  }

  pause(agentId: AgentId): Promise<void> {
    return this.#change(agentId, 'Pausing', async () => {
      if ((await this.#liveState(agentId)) === 'running') await this.#engine.pause(agentId);
    });
  }

  resume(agentId: AgentId): Promise<void> {
    return this.#change(agentId, 'Resuming', async () => {
      if ((await this.#liveState(agentId)) === 'paused') await this.#engine.resume(agentId);
    });
  }

  destroy(agentId: AgentId): Promise<void> {
    return this.#change(agentId, 'Destroying', async () => {
      const engine = this.#engine;
      if (await engine.inspectOwn(agentId)) await engine.removeContainer(agentId);
      await engine.removeContainer(measurerName(agentId)); // it would hold the volumes
      await engine.removeVolumes(agentId);
      if ((await engine.inspectOwn(agentId)) || (await engine.listVolumes(agentId)).length > 0) {
        throw new CaissonError('PROVIDER_UNAVAILABLE', `Docker still has parts of the sandbox of ${agentId}.`);
      }
    });
  }

  measureDisk(agentId: AgentId, signal?: AbortSignal): Promise<DiskUse> {
    return this.#ask(`Measuring the disk of ${agentId}`, () =>
      measureVolumes(this.#engine, {
        agentId,
        isLocal: this.#isLocal,
        betweenChanges: (work) => this.#changes.run(agentId, work, signal),
        signal,
      }),
    );
  }

  diskSpace(): Promise<DiskSpace | undefined> {
    return this.#ask('Looking at the disk', async () => (this.#isLocal ? await engineSpace(this.#engine) : undefined));
  }

  load(agentId: AgentId, signal?: AbortSignal): Promise<SandboxLoad | undefined> {
    return this.#ask(`Watching ${agentId}`, async () => {
      const found = await this.#engine.inspectOwn(agentId);
      const stats = found?.State.Running === true ? await this.#engine.stats(agentId, signal) : undefined;
      return found && stats && loadFrom(stats, Date.parse(found.State.StartedAt));
    });
  }

  async connect(agentId: AgentId, channel: WireChannel, signal?: AbortSignal): Promise<Duplex> {
    const container = this.#engine.container(agentId);
    const timeoutMs = this.#engine.timeouts.quickMs;
    const isLocal = this.#isLocal;
    const stream = await connectChannel({ container, agentId, channel, isLocal, timeoutMs, signal });
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    return stream;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stream of this.#streams) stream.destroy();
  }

  /** Whether what the engine has may be looked at directly. */
  get #isLocal(): boolean {
    return !this.#pipesOnly && this.#engine.isLocal;
  }

  async #liveState(agentId: AgentId): Promise<'running' | 'paused'> {
    const found = await this.#engine.inspectOwn(agentId);
    const state = found && stateOf(found.State.Status);
    if (state === 'running' || state === 'paused') return state;
    throw new CaissonError('SANDBOX_NOT_RUNNING', `The sandbox of ${agentId} is not running.`);
  }

  #change<T>(agentId: AgentId, verb: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#changes.run(agentId, () => this.#ask(`${verb} ${agentId}`, work), signal);
  }

  /** What the engine refused without a meaning of its own is the engine's failure. */
  async #ask<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      if (!(thrown instanceof EngineRefusal)) throw thrown;
      throw new CaissonError('PROVIDER_UNAVAILABLE', `${what} failed: Docker says: ${thrown.message}`, {
        cause: thrown,
        details: { status: thrown.status },
      });
    }
  }
}

function openDocker(engine: Docker.DockerOptions | undefined): Docker {
  try {
    return new Docker(engine);
  } catch (thrown) {
    // A DOCKER_HOST that is no address, or certificates of DOCKER_CERT_PATH that cannot be read.
    throw new CaissonError('CONFIG_INVALID', `The Docker settings cannot be used: ${errorText(thrown)}`, {
      hint: 'Correct DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH.',
      cause: thrown,
    });
  }
}
