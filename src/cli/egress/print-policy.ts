import type { EgressPolicy, EgressRule } from '../../client/index.ts';
import { oneLine } from '../output/printable.ts';
import { relativeTime } from '../output/relative-time.ts';
import { stdout, writeJson } from '../output/sink.ts';
import { type Column, table } from '../output/table.ts';

interface Options {
  readonly whose: string;
  readonly json: boolean;
}

/** The mode where there is one, whose word it is, and the rules. `whose`: as it was typed. */
export async function printPolicy(policy: EgressPolicy, { whose, json }: Options): Promise<void> {
  if (json) return await writeJson(policy);
  const now = Date.now();
  await stdout.write(`mode: ${modeText(policy, whose)}\n`);
  if (policy.changedAt !== null) {
    const why = policy.why === null ? '' : `: ${oneLine(policy.why)}`;
    const changed = `changed ${relativeTime(policy.changedAt, now)} by ${oneLine(policy.changedByName ?? '')}${why}`;
    await stdout.write(`${stdout.style('dim', changed)}\n`);
  }
  if (policy.rules.length > 0) {
    await stdout.write(`\n${table(policy.rules, columns(now), stdout.style, stdout.columns)}`);
  }
}

function modeText({ mode, effective }: EgressPolicy, whose: string): string {
  if (effective === null) return "none; these rules hold for all agents of the user, in each agent's own mode";
  const own = mode ?? 'the default';
  if (effective.mode === mode) return own;
  const source = whose === '@everyone' ? 'operator' : whose.startsWith('@') ? 'ceiling' : 'agent';
  if (effective.source === source) return `${own}, ${effective.mode}`;
  return `${own}, held to ${effective.mode} by the ${effective.source === 'ceiling' ? "user's ceiling" : 'operator'}`;
}

function columns(now: number): Column<EgressRule>[] {
  return [
    { title: 'rule', value: ({ id }) => id, whenNarrow: 'leave-out' },
    {
      title: 'does',
      value: ({ effect }) => effect,
      style: ({ effect, expired }) => (expired ? 'dim' : effect === 'deny' ? 'red' : 'green'),
    },
    { title: 'host or preset', value: ({ host, preset }) => host ?? preset ?? '' },
    { title: 'ports', value: ({ ports }) => (ports === null || ports === 'any' ? (ports ?? '') : ports.join(' ')) },
    {
      title: 'expires',
      value: ({ expiresAt, expired }) => (expiresAt === null ? '' : expired ? 'expired' : relativeTime(expiresAt, now)),
    },
    { title: 'by', value: ({ addedByName }) => addedByName },
    { title: 'why', value: ({ why }) => why ?? '', whenNarrow: 'shorten' },
  ];
}
