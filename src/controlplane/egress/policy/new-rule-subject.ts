import { CaissonError } from '../../../kernel/errors.ts';
import { parseHostPattern } from './host-pattern.ts';
import type { RuleEffect, RuleSubject } from './policy.ts';
import type { PresetName } from './presets.ts';

interface AskedSubject {
  readonly effect: RuleEffect;
  readonly host?: string | undefined;
  readonly ports?: 'any' | readonly number[] | undefined;
  readonly preset?: PresetName | undefined;
}

const usualPorts = [80, 443] as const;

/**
 * What a new rule speaks of, in its one spelling. Without ports: 80 and 443, and every port where it denies.
 * Errors: BAD_REQUEST.
 */
export function newRuleSubject({ effect, host, ports, preset }: AskedSubject): RuleSubject {
  if (preset !== undefined) {
    if (host === undefined && ports === undefined) return { preset };
    throw new CaissonError('BAD_REQUEST', 'A rule names a preset, or a host with its ports, not both.');
  }
  if (host === undefined) throw new CaissonError('BAD_REQUEST', 'A rule names a host or a preset.');
  const { host: name, port } = host === '*' ? { host, port: undefined } : parseHostPattern(host);
  if (port !== undefined) {
    if (ports === undefined) return { host: name, ports: [port] };
    throw new CaissonError('BAD_REQUEST', `The ports of ${name} are given twice.`);
  }
  if (ports === 'any') return { host: name, ports: null };
  if (ports !== undefined) return { host: name, ports: [...new Set(ports)].toSorted((a, b) => a - b) };
  return { host: name, ports: effect === 'deny' ? null : usualPorts };
}
