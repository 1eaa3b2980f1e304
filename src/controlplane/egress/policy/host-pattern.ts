import { CaissonError } from '../../../kernel/errors.ts';
import type { EgressTarget } from '../ports.ts';
import { canonicalHost, isAddress, parseTarget } from '../target.ts';

/** One host, or all names under one, and the ports at it. */
export interface HostRule {
  /** In its one spelling; `*.` before it for the names under it, itself not included. `*` alone is every host. */
  readonly host: string;
  /** Null: every port. */
  readonly ports: readonly number[] | null;
}

/**
 * `host`, `*.host`, and either with `:port`. The port is undefined where none is given. `*` is no pattern here: what stands
 * for every host is written where it is meant.
 *
 * @throws CaissonError BAD_REQUEST for what is none of these.
 */
export function parseHostPattern(text: string): { readonly host: string; readonly port: number | undefined } {
  const parts = /^(\*\.)?(\[[^\]]*\]|[^:*/]+)(?::(\d+))?$/.exec(text);
  if (parts === null && !isAddress(text)) {
    throw new CaissonError(
      'BAD_REQUEST',
      'Name a host as example.com, *.example.com or example.com:22, without https:// and a path.',
    );
  }
  const [, wildcard = '', name = text, port] = parts ?? [];
  const target = port === undefined ? { host: canonicalHost(name), port } : parseTarget(name, port);
  if (wildcard !== '' && isAddress(target.host)) {
    throw new CaissonError('BAD_REQUEST', `${target.host} is an address: there are no names under it.`);
  }
  return { host: wildcard + target.host, port: target.port };
}

export function matchesHost({ host, ports }: HostRule, target: EgressTarget): boolean {
  if (ports !== null && !ports.includes(target.port)) return false;
  if (host === '*') return true;
  return host.startsWith('*.') ? target.host.endsWith(host.slice(1)) : target.host === host;
}
