import { Command } from 'commander';
import type { ApiInputs, CaissonClient, EgressPolicy } from '../../client/index.ts';
import { durationMs, jsonOption, wholeNumber } from '../arguments.ts';
import { advice } from '../command-name.ts';
import { connect } from '../connection.ts';
import { printPolicy } from '../egress/print-policy.ts';
import { whoseArgument, whosePolicy } from '../egress/whose-policy.ts';
import { printable } from '../output/printable.ts';
import { stderr } from '../output/sink.ts';

type NewRule = NonNullable<ApiInputs['egress']['policy']['set']['add']>[number];

type Ports = readonly (number | 'any')[];

interface Options {
  readonly port?: Ports;
  readonly for?: number;
  readonly why?: string;
  readonly json?: boolean;
}

const descriptions = {
  allow: 'Let agents out to hosts. It holds at once.',
  permit:
    'Put hosts on the list of what agents may be allowed, where the mode of everyone or of a ceiling is allowlist.',
  deny: 'Keep agents from hosts, whatever else allows them. Open connections are cut.',
} as const;

/** `allow`, `permit` and `deny`: they differ in what their rules do. */
export function egressAddCommand(effect: keyof typeof descriptions): Command {
  return new Command(effect)
    .description(descriptions[effect])
    .argument(...whoseArgument)
    .argument('<what...>', 'example.com, *.example.com, example.com:22, or a preset such as npm')
    .option(
      '--port <n>',
      'this port, or any; can be given several times (default: 80 and 443; to deny: any)',
      oneMorePort,
    )
    .option('--for <time>', 'for this long, e.g. 2h', durationMs({ least: '1s' }))
    .option('--why <text>', 'for whoever reads it later')
    .addOption(jsonOption('the policy'))
    .action(async (whose: string, what: readonly string[], options: Options) => {
      const client = await connect();
      const policy = await client.egress.policy.set.mutate({
        ...(await whosePolicy(client, whose)),
        add: await newRules(client, what, effect, options),
        ...(options.why !== undefined && { why: options.why }),
      });
      await printPolicy(policy, { whose, json: options.json === true });
      if (effect === 'allow') await tellOfMode(policy, whose);
    });
}

/** Who sees the rule stand there does not expect that the mode keeps it from letting anybody out. */
async function tellOfMode({ effective }: EgressPolicy, whose: string): Promise<void> {
  if (effective?.mode !== 'deny' || whose === '@everyone') return;
  const remedy = {
    agent: `\`caisson egress mode ${whose} allowlist\` changes that.`,
    ceiling: "It is the user's ceiling, which administrators change.",
    operator: 'It is the mode of everyone, which administrators change.',
    user: '',
  }[effective.source];
  const note = advice(`Rules of the agent let out nothing while its mode is deny. ${remedy}`);
  await stderr.write(`${stderr.style('yellow', 'note:')} ${printable(note)}\n`);
}

function oneMorePort(text: string, previous: Ports = []): Ports {
  return [...previous, text === 'any' ? text : wholeNumber(1, 65_535)(text)];
}

async function newRules(
  client: CaissonClient,
  what: readonly string[],
  effect: keyof typeof descriptions,
  { port, for: expiresIn, why }: Options,
): Promise<NewRule[]> {
  const { items } = await client.egress.policy.presets.query();
  const ports = port?.includes('any') === true ? ('any' as const) : port?.filter((each) => each !== 'any');
  const common = { effect, ...(expiresIn !== undefined && { expiresIn }), ...(why !== undefined && { why }) };
  return what.map((text): NewRule => {
    const preset = items.find(({ name }) => name === text)?.name;
    return preset === undefined
      ? { ...common, host: text, ...(ports !== undefined && { ports }) }
      : { ...common, preset };
  });
}
