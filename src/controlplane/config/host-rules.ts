import { z } from 'zod';
import type { HostRule } from '../egress/configured-policy.ts';
import { canonicalHost, parseTarget } from '../egress/target.ts';

const mostRules = 512;

/** `host`, `*.host`, `host:port`, separated by commas. `usualPorts` are those of a rule without one; none: it must name one. */
export function hostRules(usualPorts: readonly number[], allowed: string) {
  return z.string().transform((text, context): readonly HostRule[] => {
    const rules = text.split(',').map((each) => readRule(each.trim(), usualPorts));
    const read = rules.filter((rule) => rule !== undefined);
    if (rules.length <= mostRules && read.length === rules.length) return read;
    context.addIssue(allowed);
    return z.NEVER;
  });
}

function readRule(text: string, usualPorts: readonly number[]): HostRule | undefined {
  const [, wildcard = '', name = '', port] = /^(\*\.)?(\[[^\]]*\]|[^:*]+)(?::(\d+))?$/.exec(text) ?? [];
  try {
    if (port === undefined) {
      return usualPorts.length === 0 ? undefined : { host: wildcard + canonicalHost(name), ports: usualPorts };
    }
    const target = parseTarget(name, port);
    return { host: wildcard + target.host, ports: [target.port] };
  } catch {
    return undefined; // told by whoever reads the setting
  }
}
