import { readdir, readFile, readlink } from 'node:fs/promises';
import { shorten } from '../../kernel/json-text.ts';
import { journalBounds } from '../../wire/contract/journal-bounds.ts';

export interface SocketOwner {
  readonly pid: number;
  readonly command: string;
}

/** Open files that one search looks at; the owners of sockets beyond them stay unknown. */
const maxFiles = 50_000;

/**
 * Which process has each of these sockets open: the one of the lowest number where a socket was handed down. Sockets of
 * processes that cannot be looked into are left out.
 */
export async function findSocketOwners(
  proc: string,
  inodes: ReadonlySet<string>,
): Promise<ReadonlyMap<string, SocketOwner>> {
  const owners = new Map<string, SocketOwner>();
  const pids = (await readdir(proc)).filter((name) => /^\d+$/.test(name)).map(Number);
  let files = 0;
  for (const pid of pids.toSorted((a, b) => a - b)) {
    for (const file of await namesOf(`${proc}/${pid}/fd`)) {
      if (owners.size === inodes.size || ++files > maxFiles) return owners;
      const inode = /^socket:\[(\d+)\]$/.exec(await targetOf(`${proc}/${pid}/fd/${file}`))?.[1];
      if (inode === undefined || !inodes.has(inode) || owners.has(inode)) continue;
      owners.set(inode, { pid, command: await commandOf(`${proc}/${pid}/cmdline`) });
    }
  }
  return owners;
}

// Processes come and go while they are looked at, and some belong to others.
const namesOf = (path: string): Promise<readonly string[]> => readdir(path).catch(() => []);
const targetOf = (path: string): Promise<string> => readlink(path).catch(() => '');

async function commandOf(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return shorten(text.replaceAll('\0', ' ').trim(), journalBounds.id);
}
