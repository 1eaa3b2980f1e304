import { availableParallelism, freemem, loadavg, totalmem } from 'node:os';
import { errorText } from '../../kernel/errors.ts';
import type { SandboxProvider } from '../../sandbox-providers/contract/index.ts';
import type { DiskBook } from '../disk/disk-book.ts';
import type { HostDisk, HostSpace } from '../disk/host-disk.ts';

/** How the machine and the control plane are. Times are milliseconds, sizes are bytes. */
export interface Overview {
  readonly version: string;
  readonly node: string;
  readonly startedAt: number;
  readonly uptimeMs: number;
  readonly provider: { readonly name: string; readonly description: string; readonly available: boolean };
  readonly machine: {
    readonly cpus: number;
    /** Of the last 1, 5 and 15 minutes. */
    readonly load: readonly number[];
    readonly memory: { readonly freeBytes: number; readonly totalBytes: number };
    /** Of the control plane itself. */
    readonly processBytes: number;
  };
  readonly disk: HostSpace & {
    readonly reserveBytes: number;
    /** Of all agents together, as it was measured last. */
    readonly agentsBytes: number;
    /** Agents by the state of their disk. */
    readonly states: Readonly<Record<string, number>>;
  };
  readonly agents: number;
  /** Those that are not over, by their state. */
  readonly runs: Readonly<Record<string, number>>;
  /** Connections out of sandboxes that wait for a decision. */
  readonly pendingEgress: number;
}

interface OverviewOptions {
  readonly version: string;
  readonly provider: Pick<SandboxProvider, 'name' | 'check'>;
  readonly hostDisk: Pick<HostDisk, 'space' | 'reserveBytes'>;
  readonly disks: Pick<DiskBook, 'census'>;
  readonly agents: {
    listAgentIds(): Promise<readonly unknown[]>;
    listActiveRuns(): Promise<readonly { readonly state: string }[]>;
  };
  readonly pendingEgress: () => readonly unknown[];
}

/** An engine that takes longer is told as one that does not answer. */
const checkTimeoutMs = 3_000;

export class SystemOverview {
  readonly #options: OverviewOptions;
  readonly #startedAt = Date.now();

  constructor(options: OverviewOptions) {
    this.#options = options;
  }

  async read(): Promise<Overview> {
    const { version, hostDisk, disks, agents, pendingEgress } = this.#options;
    const runs: Record<string, number> = {};
    for (const { state } of await agents.listActiveRuns()) runs[state] = (runs[state] ?? 0) + 1;
    const { usedBytes: agentsBytes, states } = disks.census();
    return {
      version,
      node: process.version,
      startedAt: this.#startedAt,
      uptimeMs: Math.round(process.uptime() * 1_000),
      provider: await this.#provider(),
      machine: {
        cpus: availableParallelism(),
        load: loadavg(),
        memory: { freeBytes: freemem(), totalBytes: totalmem() },
        processBytes: process.memoryUsage.rss(),
      },
      disk: { ...(await hostDisk.space()), reserveBytes: hostDisk.reserveBytes, agentsBytes, states },
      agents: (await agents.listAgentIds()).length,
      runs,
      pendingEgress: pendingEgress().length,
    };
  }

  async #provider(): Promise<Overview['provider']> {
    const { provider } = this.#options;
    try {
      const { description } = await provider.check(AbortSignal.timeout(checkTimeoutMs));
      return { name: provider.name, description, available: true };
    } catch (thrown) {
      return { name: provider.name, description: errorText(thrown), available: false };
    }
  }
}
