import { BlockList, isIP } from 'node:net';

/** IPv4 that is not public (IANA's registry of special-purpose addresses). */
const specialIPv4 = [
  '0.0.0.0/8', // this network
  '10.0.0.0/8', // private
  '100.64.0.0/10', // carrier-grade NAT
  '127.0.0.0/8', // loopback
  '169.254.0.0/16', // link-local, and the metadata services of clouds
  '172.16.0.0/12', // private
  '192.0.0.0/24', // protocol assignments
  '192.0.2.0/24', // documentation
  '192.31.196.0/24', // AS112
  '192.52.193.0/24', // AMT
  '192.88.99.0/24', // 6to4 relays
  '192.168.0.0/16', // private
  '192.175.48.0/24', // AS112
  '198.18.0.0/15', // benchmarks
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
] as const;

/** Addresses of 168.63.129.16 and the like: public by their number, a cloud's own service by their use. */
const cloudServices = ['168.63.129.16/32', '100.100.100.200/32'] as const;

/** Of IPv6, only this is given out as public. */
const globalIPv6 = '2000::/3';

/** What of it is special all the same: what carries an IPv4 address inside is refused as a whole. */
const specialIPv6 = [
  '2001::/23', // protocol assignments: Teredo, ORCHID, benchmarks
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4
  '2620:4f:8000::/48', // AS112
  '3fff::/20', // documentation
] as const;

const refusedIPv4 = blockList('ipv4', [...specialIPv4, ...cloudServices]);
const acceptedIPv6 = blockList('ipv6', [globalIPv6]);
const refusedIPv6 = blockList('ipv6', specialIPv6);

/**
 * Whether an address is one of the public internet. IPv4 inside IPv6 (mapped, compatible, NAT64, 6to4, Teredo) never is: a
 * host that is reached so has an address of its own.
 */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !refusedIPv4.check(address, 'ipv4');
    case 6:
      return acceptedIPv6.check(address, 'ipv6') && !refusedIPv6.check(address, 'ipv6');
    default:
      return false;
  }
}

/** Whether a host, as a target names it, is an address that only a host which an operator has named can have. */
export function isPrivateAddress(host: string): boolean {
  return isIP(host) !== 0 && !isPublicAddress(host);
}

function blockList(family: 'ipv4' | 'ipv6', networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    list.addSubnet(address, Number(prefix), family);
  }
  return list;
}
