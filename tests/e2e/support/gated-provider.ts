import type { Duplex } from 'node:stream';
import { orAbort } from '../../../src/kernel/deadline.ts';
import type { AgentId } from '../../../src/kernel/ids.ts';
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
} from '../../../src/sandbox-providers/contract/index.ts';

/** A provider that brings no sandbox up before `open` is called. */
export class GatedProvider implements SandboxProvider {
  readonly #real: SandboxProvider;
  readonly #gate = Promise.withResolvers<void>();

  constructor(real: SandboxProvider) {
    this.#real = real;
  }

  open(): void {
    this.#gate.resolve();
  }

  get name(): string {
    return this.#real.name;
  }

  get capabilities(): ProviderCapabilities {
    return this.#real.capabilities;
  }

  async ensureRunning(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> {
    await (signal === undefined ? this.#gate.promise : orAbort(this.#gate.promise, signal));
    return await this.#real.ensureRunning(spec, signal);
  }

  check(signal?: AbortSignal): Promise<{ readonly description: string }> {
    return this.#real.check(signal);
  }

  find(agentId: AgentId): Promise<Sandbox | undefined> {
    return this.#real.find(agentId);
  }

  list(): Promise<readonly Sandbox[]> {
    return this.#real.list();
  }

  stop(agentId: AgentId, options?: StopOptions): Promise<void> {
    return this.#real.stop(agentId, options);
  }

  pause(agentId: AgentId): Promise<void> {
    return this.#real.pause(agentId);
  }

  resume(agentId: AgentId): Promise<void> {
    return this.#real.resume(agentId);
  }

  destroy(agentId: AgentId): Promise<void> {
    return this.#real.destroy(agentId);
  }

  measureDisk(agentId: AgentId, signal?: AbortSignal): Promise<DiskUse> {
    return this.#real.measureDisk(agentId, signal);
  }

  diskSpace(): Promise<DiskSpace | undefined> {
    return this.#real.diskSpace();
  }

  load(agentId: AgentId, signal?: AbortSignal): Promise<SandboxLoad | undefined> {
    return this.#real.load(agentId, signal);
  }

  connect(agentId: AgentId, channel: WireChannel, signal?: AbortSignal): Promise<Duplex> {
    return this.#real.connect(agentId, channel, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.open();
    await this.#real[Symbol.asyncDispose]();
  }
}
