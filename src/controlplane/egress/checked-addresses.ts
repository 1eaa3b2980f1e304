import { BlockList, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { CaissonError } from '../../kernel/errors.ts';
import type { EgressTarget } from './ports.ts';
import { isPublicAddress } from './public-address.ts';
import { targetText } from './target.ts';

export interface AddressWalls {
  /** An operator has named the host: its addresses need not be public. */
  readonly internal: boolean;
  /** The ports that this control plane listens on, which nobody reaches from a sandbox. */
  readonly ownPorts: ReadonlySet<number>;
}

/** What to do about a host of one's own network. */
export const wayIn = 'If it is a host of your own network, an administrator can name it in CAISSON_EGRESS_INTERNAL.';

/** Addresses that are tried, of those that a name has. */
const mostTried = 4;

const thisMachine = new BlockList();
thisMachine.addSubnet('127.0.0.0', 8, 'ipv4');
thisMachine.addSubnet('0.0.0.0', 8, 'ipv4');
thisMachine.addAddress('::1', 'ipv6');
thisMachine.addAddress('::', 'ipv6');

/**
 * The addresses that may be connected to, and no others: what is dialled is what was checked. One address that is not public
 * refuses them all, since a name that leads to both is a name that is being played with.
 *
 * @throws CaissonError EGRESS_REFUSED.
 */
export function checkAddresses(
  target: EgressTarget,
  addresses: readonly string[],
  { internal, ownPorts }: AddressWalls,
): readonly string[] {
  const own = ownAddresses();
  for (const address of addresses) {
    if (!internal && !isPublicAddress(address)) {
      throw refused(`${targetText(target)} leads to an address that is not public. ${wayIn}`);
    }
    if (!internal && own.has(address)) throw refused(`${targetText(target)} leads to this machine.`);
    if (internal && ownPorts.has(target.port) && (own.has(plain(address)) || isThisMachine(plain(address)))) {
      throw refused(`${targetText(target)} leads to the control plane.`);
    }
  }
  return addresses.slice(0, mostTried);
}

function isThisMachine(address: string): boolean {
  return thisMachine.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

function ownAddresses(): ReadonlySet<string> {
  return new Set(Object.values(networkInterfaces()).flatMap((each) => (each ?? []).map(({ address }) => address)));
}

/** IPv4 in IPv6 is connected to as IPv4. */
function plain(address: string): string {
  if (isIP(address) !== 6) return address;
  const mapped = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(new URL(`http://[${address}]/`).hostname.slice(1, -1));
  if (mapped === null) return address;
  const [high, low] = [Number.parseInt(mapped[1] ?? '', 16), Number.parseInt(mapped[2] ?? '', 16)];
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

function refused(message: string): CaissonError {
  return new CaissonError('EGRESS_REFUSED', message);
}
