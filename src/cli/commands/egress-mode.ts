import { Argument, Command } from 'commander';
import type { EgressPolicy } from '../../client/index.ts';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { printPolicy } from '../egress/print-policy.ts';
import { whoseArgument, whosePolicy } from '../egress/whose-policy.ts';

interface Options {
  readonly why?: string;
  readonly json?: boolean;
}

export function egressModeCommand(): Command {
  return new Command('mode')
    .description('Choose what becomes of hosts that no rule speaks of.')
    .argument(...whoseArgument)
    .addArgument(
      new Argument('<mode>', 'of everyone and of ceilings: the widest that agents can have').choices([
        'deny',
        'allowlist',
        'ask',
        'open',
        'default',
      ]),
    )
    .option('--why <text>', 'for whoever reads it later')
    .addOption(jsonOption('the policy'))
    .action(setMode);
}

type Mode = NonNullable<EgressPolicy['mode']> | 'default';

async function setMode(whose: string, mode: Mode, { why, json = false }: Options): Promise<void> {
  const client = await connect();
  const policy = await client.egress.policy.set.mutate({
    ...(await whosePolicy(client, whose)),
    mode: mode === 'default' ? null : mode,
    ...(why !== undefined && { why }),
  });
  await printPolicy(policy, { whose, json });
}
