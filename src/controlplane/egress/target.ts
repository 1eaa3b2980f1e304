import { isIP } from 'node:net';
import { CaissonError } from '../../kernel/errors.ts';
import type { EgressTarget } from './ports.ts';

const longestName = 253;
/** Underscores are in use, e.g. in names of services, though no host name should have one. */
const namePattern = /^(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*$/;
/** What some programs read as an IPv4 address: numbers, decimal, octal or hexadecimal. */
const endsInNumber = /(^|\.)(\d+|0x[\da-f]*)$/;
const portPattern = /^[1-9]\d{0,4}$/;

/**
 * Where a program wants to go, in the one spelling that rules and walls speak of. An address in any of its spellings
 * (decimal, octal, hexadecimal, short, IPv6 with or without brackets) becomes that address, and never passes as a name.
 *
 * @throws CaissonError BAD_REQUEST for what is no host or no port.
 */
export function parseTarget(host: string, port: string): EgressTarget {
  const number = portPattern.test(port) ? Number(port) : 0;
  if (number < 1 || number > 65_535) throw notATarget('a port from 1 to 65535');
  return { host: canonicalHost(host), port: number };
}

/** The host alone. @throws CaissonError BAD_REQUEST. */
export function canonicalHost(text: string): string {
  // No other than ASCII: what looks alike, or becomes a dot or a digit when it is normalized, is no host here.
  if (!/^[\x21-\x7e]{1,300}$/.test(text)) throw notATarget('a host name in ASCII, or an address');
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  if (bare.includes(':')) return canonicalIPv6(bare);
  if (bare !== text) throw notATarget('an IPv6 address in brackets');
  const name = bare.toLowerCase().replace(/\.$/, '');
  if (name.length > longestName || !namePattern.test(name)) throw notATarget('a host name, or an address');
  if (!endsInNumber.test(name)) return name;
  // The rules of URLs, which are those of inet_aton: what is not an address by them is no name either.
  const address = URL.parse(`http://${name}/`)?.hostname ?? '';
  if (isIP(address) !== 4) throw notATarget('an address that can be read in one way only');
  return address;
}

/** Whether a host that is canonical is an address. */
export function isAddress(host: string): boolean {
  return isIP(host) !== 0;
}

/** An address as `[…]:443` or `host:443`. */
export function targetText({ host, port }: EgressTarget): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

function canonicalIPv6(text: string): string {
  if (isIP(text) !== 6 || text.includes('%')) throw notATarget('an address without a zone');
  const { hostname } = new URL(`http://[${text}]/`);
  return hostname.slice(1, -1);
}

function notATarget(wanted: string): CaissonError {
  return new CaissonError('BAD_REQUEST', `The connection must name ${wanted}.`);
}
