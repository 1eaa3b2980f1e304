import type { EgressDecision, EgressPolicy, EgressTarget } from './ports.ts';

/** One host, or all names under one, and the ports at it. */
export interface HostRule {
  /** In its one spelling; `*.` before it for the names under it, itself not included. */
  readonly host: string;
  readonly ports: readonly number[];
}

interface Lists {
  /** Public hosts. */
  readonly allow: readonly HostRule[];
  /** Hosts of the operator's own network. */
  readonly internal: readonly HostRule[];
}

/** The same for every agent: what the settings name, and nothing else. */
export function createConfiguredPolicy({ allow, internal }: Lists): EgressPolicy {
  const decide = (target: EgressTarget): EgressDecision => {
    for (const [rules, isInternal] of [
      [internal, true],
      [allow, false],
    ] as const) {
      const rule = rules.find((each) => matches(each, target));
      if (rule !== undefined) return { verdict: 'allow', rule: rule.host, internal: isInternal };
    }
    return { verdict: 'deny', reason: 'No rule allows this host and port.', rule: null };
  };
  return {
    decide: async (_agentId, target) => decide(target),
    allows: async (_agentId, target) => decide(target),
    onChanged: () => () => undefined, // settings change at the next start only
  };
}

function matches({ host, ports }: HostRule, target: EgressTarget): boolean {
  const isHost = host.startsWith('*.') ? target.host.endsWith(host.slice(1)) : target.host === host;
  return isHost && ports.includes(target.port);
}
