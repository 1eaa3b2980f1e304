import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { SocketAddress } from 'node:net';

/** A TCP socket that listens, as the kernel tells of it. */
export interface ListeningSocket {
  readonly address: string;
  readonly port: number;
  readonly inode: string;
}

/** The kernel lists listening sockets first; what comes after this is of connections. */
const maxTableBytes = 256 * 1024;

const listening = '0A';

/** What listens, of `<proc>/net/tcp` and `<proc>/net/tcp6`. A table that is not there, as without IPv6, is empty. */
export async function readListeningSockets(proc: string): Promise<readonly ListeningSocket[]> {
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readStart(`${proc}/net/${name}`)));
  return tables.flatMap(parseSocketTable);
}

/**
 * How many TCP sockets listen or are connected in this network, of `<proc>/net/sockstat` and `sockstat6`; null where the kernel
 * does not tell. It has these numbers at hand, while for a table it walks the connections of the whole machine: some 5 ms.
 */
export function countTcpSockets(proc: string): number | null {
  const four = readCount(`${proc}/net/sockstat`, /^TCP: inuse (\d+)/m, null);
  const six = readCount(`${proc}/net/sockstat6`, /^TCP6: inuse (\d+)/m, 0); // not there without IPv6
  return four === null || six === null ? null : four + six;
}

export function parseSocketTable(text: string): ListeningSocket[] {
  const sockets: ListeningSocket[] = [];
  for (const line of text.split('\n').slice(1)) {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    const [, host, port] = /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/.exec(local) ?? [];
    if (state !== listening || host === undefined || port === undefined || !/^\d+$/.test(inode)) continue;
    sockets.push({ address: addressOf(host), port: Number.parseInt(port, 16), inode });
  }
  return sockets;
}

/** The kernel writes an address as numbers of 32 bits in the machine's own byte order: little endian on all that we run on. */
function addressOf(hex: string): string {
  const bytes = Buffer.from(hex, 'hex').swap32();
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(at * 2).toString(16));
  return new SocketAddress({ family: 'ipv6', address: groups.join(':') }).address;
}

async function readStart(path: string): Promise<string> {
  let file;
  try {
    file = await open(path);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw thrown;
  }
  try {
    const buffer = Buffer.alloc(maxTableBytes);
    let length = 0;
    for (;;) {
      // The kernel gives a page at a time.
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
      length += bytesRead;
      if (bytesRead === 0 || length === buffer.length) break;
    }
    const text = buffer.toString('latin1', 0, length);
    return text.slice(0, text.lastIndexOf('\n') + 1);
  } finally {
    await file.close();
  }
}

/** At once: through Node's threads the two files take 16 wake-ups. */
function readCount(path: string, count: RegExp, missing: number | null): number | null {
  try {
    const [, digits] = count.exec(readFileSync(path, 'latin1')) ?? [];
    return digits === undefined ? null : Number(digits);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return missing;
    throw thrown;
  }
}
