import { type ListeningPort, mostListedPorts } from '../../wire/contract/ports.ts';
import { findSocketOwners, type SocketOwner } from './socket-owners.ts';
import { countTcpSockets, type ListeningSocket, readListeningSockets } from './socket-table.ts';

interface PortTableOptions {
  /** Where the kernel tells of sockets and processes. */
  readonly proc: string;
  /** The guest's own ports: nobody is told of them, and nobody is let through to them. */
  readonly ownPorts: () => ReadonlySet<number>;
  /** How many sockets listen on them now, or are an end of a connection of the harness to its model. */
  readonly ownSockets: () => number;
}

/** How many addresses of one port are told. */
const mostAddresses = 16;

/**
 * Which ports listen in the sandbox, and who has them. Looking again costs little as long as nothing has changed, and next to
 * nothing while the guest's own sockets are the only ones that there are.
 */
export class PortTable {
  readonly #options: PortTableOptions;
  /** Of the sockets that listened the last time; null where the owner could not be found. */
  #owners: ReadonlyMap<string, SocketOwner | null> = new Map();

  constructor(options: PortTableOptions) {
    this.#options = options;
  }

  isOwn(port: number): boolean {
    return this.#options.ownPorts().has(port);
  }

  /** In the order of their numbers, at most 512. `again` looks once more for owners that were not found before. */
  async list({ again = false }: { readonly again?: boolean } = {}): Promise<readonly ListeningPort[]> {
    const sockets = (await this.#readSockets()).filter(({ port }) => !this.isOwn(port));
    const byPort = new Map<number, ListeningSocket[]>();
    for (const socket of sockets) byPort.set(socket.port, [...(byPort.get(socket.port) ?? []), socket]);
    const ports = [...byPort.keys()].toSorted((a, b) => a - b).slice(0, mostListedPorts);
    const shown = ports.map((port) => ({ port, sockets: byPort.get(port) ?? [] }));
    await this.#findOwners(
      shown.flatMap((each) => each.sockets),
      again,
    );
    return shown.map(({ port, sockets }) => {
      const owner = sockets.map(({ inode }) => this.#owners.get(inode)).find((found) => found != null);
      const addresses = [...new Set(sockets.map(({ address }) => address))].slice(0, mostAddresses);
      return { port, pid: owner?.pid ?? null, command: owner?.command ?? null, addresses };
    });
  }

  async #readSockets(): Promise<readonly ListeningSocket[]> {
    const { proc, ownSockets } = this.#options;
    return countTcpSockets(proc) === ownSockets() ? [] : readListeningSockets(proc);
  }

  async #findOwners(sockets: readonly ListeningSocket[], again: boolean): Promise<void> {
    const known = this.#owners;
    const isKnown = (inode: string): boolean => (again ? known.get(inode) != null : known.has(inode));
    const unknown = new Set(sockets.map(({ inode }) => inode).filter((inode) => !isKnown(inode)));
    const found =
      unknown.size === 0 ? new Map<string, SocketOwner>() : await findSocketOwners(this.#options.proc, unknown);
    this.#owners = new Map(sockets.map(({ inode }) => [inode, found.get(inode) ?? known.get(inode) ?? null]));
  }
}
