import type Docker from 'dockerode';
import type {
  Container,
  ContainerCreateOptions,
  ContainerInfo,
  ContainerInspectInfo,
  ContainerStats,
  VolumeInspectInfo,
} from 'dockerode';
import type { AgentId } from '../../kernel/ids.ts';
import { engineCall, unlessRefused } from './engine-call.ts';
import { isOwnedBy, label, ownedBy } from './labels.ts';

export interface EngineTimeouts {
  /** For questions, in milliseconds. Default 10,000. */
  readonly quickMs: number;
  /** For what starts, stops or removes something, in milliseconds. Default 120,000. */
  readonly slowMs: number;
}

/**
 * The requests that the provider makes, each bounded in time, each by an agent's key. An error answer of the engine is
 * an EngineRefusal; no answer is PROVIDER_UNAVAILABLE.
 */
export class Engine {
  readonly instance: string;
  readonly timeouts: EngineTimeouts;
  readonly #docker: Docker;
  #root: string | undefined;

  constructor(docker: Docker, instance: string, timeouts: EngineTimeouts) {
    this.#docker = docker;
    this.instance = instance;
    this.timeouts = timeouts;
  }

  /** Whether it is reached by a socket of this machine. */
  get isLocal(): boolean {
    const modem: unknown = this.#docker.modem;
    return typeof modem === 'object' && modem !== null && 'socketPath' in modem && Boolean(modem.socketPath);
  }

  container(agentId: AgentId): Container {
    return this.#docker.getContainer(agentId);
  }

  version(signal?: AbortSignal): Promise<{ readonly Version: string }> {
    return this.#quick('Asking for the version', () => this.#docker.version(), signal);
  }

  /** Whoever has the key, ours or not. */
  inspect(agentId: AgentId): Promise<ContainerInspectInfo | undefined> {
    const what = `Looking for ${agentId}`;
    const container = this.container(agentId);
    return unlessRefused(
      this.#quick(what, (abortSignal) => container.inspect({ abortSignal })),
      404,
    );
  }

  async inspectOwn(agentId: AgentId): Promise<ContainerInspectInfo | undefined> {
    const found = await this.inspect(agentId);
    return found && this.owns(found) ? found : undefined;
  }

  owns(container: ContainerInspectInfo): boolean {
    return isOwnedBy(this.instance, container.Config.Labels);
  }

  /** Where the engine keeps everything, on its own machine. Asked once: it stays there while the engine runs. */
  async rootDirectory(): Promise<string> {
    if (this.#root !== undefined) return this.#root;
    const info: unknown = await this.#quick('Asking for the directory', () => this.#docker.info());
    const isKnown = typeof info === 'object' && info !== null && 'DockerRootDir' in info;
    return (this.#root = isKnown && typeof info.DockerRootDir === 'string' ? info.DockerRootDir : '');
  }

  /** Takes a second, in which it is watched. */
  async stats(agentId: AgentId, signal?: AbortSignal): Promise<ContainerStats | undefined> {
    const container = this.container(agentId);
    return await unlessRefused(
      this.#quick(`Watching ${agentId}`, () => container.stats({ stream: false }), signal),
      404,
    );
  }

  /**
   * Starts a container that stands ready, and waits for its end; resolves with how it ended and the first 64 KiB that it wrote
   * to its standard output.
   */
  async runToEnd(name: string, signal: AbortSignal): Promise<{ readonly exitCode: number; readonly stdout: string }> {
    const container = this.#docker.getContainer(name);
    signal.throwIfAborted();
    await this.#slow(`Starting ${name}`, (abortSignal) => container.start({ abortSignal }));
    const ended: unknown = await engineCall({
      what: `Waiting for ${name}`,
      request: (abortSignal) => container.wait({ abortSignal }),
      signal,
      timeoutMs: this.timeouts.slowMs,
    });
    const log = await this.#quick('Reading the answer', (abortSignal) =>
      container.logs({ stdout: true, stderr: false, abortSignal }),
    );
    const isTold = typeof ended === 'object' && ended !== null && 'StatusCode' in ended;
    return { exitCode: isTold ? Number(ended.StatusCode) : -1, stdout: unframed(log) };
  }

  listContainers(): Promise<ContainerInfo[]> {
    const filters = ownedBy(this.instance);
    return this.#quick('Listing the sandboxes', (abortSignal) =>
      this.#docker.listContainers({ all: true, filters, abortSignal }),
    );
  }

  async listVolumes(agentId?: AgentId): Promise<readonly VolumeInspectInfo[]> {
    const filters = ownedBy(this.instance, agentId);
    const { Volumes: volumes } = await this.#quick('Listing the workspaces', (abortSignal) =>
      this.#docker.listVolumes({ filters, abortSignal }),
    );
    return volumes;
  }

  async create(options: ContainerCreateOptions): Promise<void> {
    await this.#slow(`Creating ${options.name}`, (abortSignal) =>
      this.#docker.createContainer({ ...options, abortSignal }),
    );
  }

  /** One that runs already is no error. */
  async start(agentId: AgentId): Promise<void> {
    const container = this.container(agentId);
    await unlessRefused(
      this.#slow(`Starting ${agentId}`, (abortSignal) => container.start({ abortSignal })),
      304,
    );
  }

  /** One that is missing or stopped is no error. */
  async stop(agentId: AgentId, graceSeconds: number): Promise<void> {
    const container = this.container(agentId);
    await unlessRefused(
      this.#slow(`Stopping ${agentId}`, (abortSignal) => container.stop({ t: graceSeconds, abortSignal })),
      304,
      404,
    );
  }

  async pause(agentId: AgentId): Promise<void> {
    const container = this.container(agentId);
    await this.#slow(`Pausing ${agentId}`, (abortSignal) => container.pause({ abortSignal }));
  }

  async resume(agentId: AgentId): Promise<void> {
    const container = this.container(agentId);
    await this.#slow(`Resuming ${agentId}`, (abortSignal) => container.unpause({ abortSignal }));
  }

  /** Ends and removes the container of that name; its named volumes stay. A missing one is no error. */
  async removeContainer(name: string): Promise<void> {
    const container = this.#docker.getContainer(name);
    const removed = await unlessRefused(
      this.#slow(`Removing ${name}`, (abortSignal) => container.remove({ force: true, v: true, abortSignal })),
      404,
      409, // somebody else is removing it
    );
    if (removed !== undefined) return;
    await unlessRefused(
      this.#slow(`Removing ${name}`, (abortSignal) => container.wait({ condition: 'removed', abortSignal })),
      404,
    );
  }

  /** Removes the agent's workspace and home, or only what the given creation made of them. */
  async removeVolumes(agentId: AgentId, creation?: string): Promise<void> {
    for (const volume of await this.listVolumes(agentId)) {
      if (creation !== undefined && volume.Labels[label.creation] !== creation) continue;
      await unlessRefused(
        this.#slow(`Removing ${volume.Name}`, (abortSignal) =>
          this.#docker.getVolume(volume.Name).remove({ abortSignal }),
        ),
        404,
      );
    }
  }

  #quick<T>(what: string, request: (abortSignal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return engineCall({ what, request, signal, timeoutMs: this.timeouts.quickMs });
  }

  #slow<T>(what: string, request: (abortSignal: AbortSignal) => Promise<T>): Promise<T> {
    return engineCall({ what, request, timeoutMs: this.timeouts.slowMs });
  }
}

/** Without the head of eight bytes that the engine puts before each piece of output. */
function unframed(log: Buffer): string {
  const pieces: Buffer[] = [];
  for (let at = 0; at + 8 <= log.length && at < 64 * 1024;) {
    const length = log.readUInt32BE(at + 4);
    pieces.push(log.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return Buffer.concat(pieces).toString('utf8');
}
