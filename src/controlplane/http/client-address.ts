import type { IncomingMessage } from 'node:http';
import { BlockList } from 'node:net';

/** Who sent a request: the last address in its way that no configured proxy has. */
export function clientAddress(
  { headers, socket }: Pick<IncomingMessage, 'headers' | 'socket'>,
  trusted: BlockList,
): string {
  let address = plainAddress(socket.remoteAddress ?? '');
  const forwarded = headers['x-forwarded-for'];
  if (forwarded === undefined) return address;
  const hops = String(forwarded).split(',');
  while (isTrusted(address, trusted)) {
    const before = plainAddress(hops.pop()?.trim() ?? '');
    if (!/^[\da-f.:]+$/i.test(before)) break;
    address = before;
  }
  return address;
}

function isTrusted(address: string, trusted: BlockList): boolean {
  return trusted.check(address, address.includes(':') ? 'ipv6' : 'ipv4');
}

/** IPv4 in IPv6, as sockets of both families tell it, is IPv4. */
function plainAddress(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
}

/** Addresses and networks such as 10.0.0.0/8, as the configuration has checked them. */
export function networkList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    const family = address.includes(':') ? 'ipv6' : 'ipv4';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return list;
}
