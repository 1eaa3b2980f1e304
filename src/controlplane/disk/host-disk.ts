import { CaissonError } from '../../kernel/errors.ts';
import type { Logger } from '../../kernel/logger.ts';
import { type DiskSpace, diskSpaceAt, type SandboxProvider } from '../../sandbox-providers/contract/index.ts';

/** What is left on the disks of this machine. */
export interface HostSpace {
  /** Where the control plane keeps its data. */
  readonly data: DiskSpace;
  /** Where sandboxes keep theirs; null where that cannot be told. */
  readonly sandboxes: DiskSpace | null;
}

interface HostDiskOptions {
  readonly dataDir: string;
  readonly provider: Pick<SandboxProvider, 'diskSpace'>;
  /** Kept free: below it no sandbox starts. 0: nothing is. */
  readonly reserveBytes: number;
  readonly logger: Logger;
}

/** Keeps a reserve on the machine's disks, so that sandboxes fill neither the database's nor each other's. */
export class HostDisk {
  readonly #options: HostDiskOptions;
  readonly reserveBytes: number;

  constructor(options: HostDiskOptions) {
    this.#options = options;
    this.reserveBytes = options.reserveBytes;
  }

  async space(): Promise<HostSpace> {
    return { data: await diskSpaceAt(this.#options.dataDir), sandboxes: await this.#ofSandboxes() };
  }

  /** What is left, by what the disks hold. */
  async freeBytes(): Promise<Readonly<Record<string, number>>> {
    const { data, sandboxes } = await this.space();
    return { data: data.freeBytes, ...(sandboxes === null ? {} : { sandboxes: sandboxes.freeBytes }) };
  }

  /** The same of files that can still be made, of disks that bound them. */
  async freeInodes(): Promise<Readonly<Record<string, number>>> {
    const spaces = Object.entries(await this.space());
    return Object.fromEntries(
      spaces.flatMap(([disk, space]: [string, DiskSpace | null]) => (space?.inodes ? [[disk, space.inodes.free]] : [])),
    );
  }

  /** What a start is refused with; undefined where there is room. */
  async refusal(): Promise<CaissonError | undefined> {
    if (this.reserveBytes === 0) return undefined;
    const { data, sandboxes } = await this.space();
    const disks = [
      { disk: 'data', what: 'the data directory', space: data },
      { disk: 'sandboxes', what: 'the sandboxes', space: sandboxes },
    ];
    for (const { disk, what, space } of disks) {
      if (space === null) continue;
      const { freeBytes, inodes } = space;
      const isShort = freeBytes < this.reserveBytes;
      if (!isShort && this.#hasInodes(space)) continue;
      const full = isShort ? 'is nearly full' : 'has nearly no inodes left: it holds too many files';
      const details = { disk, freeBytes, reserveBytes: this.reserveBytes, ...(inodes && { freeInodes: inodes.free }) };
      return new CaissonError('HOST_DISK_FULL', `The disk of ${what} ${full}. No sandbox starts now.`, { details });
    }
    return undefined;
  }

  /** The share of them that the reserve is of the bytes. */
  #hasInodes({ inodes, totalBytes }: DiskSpace): boolean {
    return inodes === null || inodes.free * totalBytes >= this.reserveBytes * inodes.total;
  }

  async #ofSandboxes(): Promise<DiskSpace | null> {
    try {
      return (await this.#options.provider.diskSpace()) ?? null;
    } catch (thrown) {
      this.#options.logger.debug({ err: thrown }, 'what is left on the disk of the sandboxes is not known');
      return null; // an engine that does not answer refuses the start itself
    }
  }
}
