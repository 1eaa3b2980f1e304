import { Command } from 'commander';
import { CaissonError } from '../../kernel/errors.ts';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { printPolicy } from '../egress/print-policy.ts';
import { whoseArgument, whosePolicy } from '../egress/whose-policy.ts';

export function egressRemoveCommand(): Command {
  return new Command('remove')
    .description('Remove rules. What only they allowed is cut.')
    .argument(...whoseArgument)
    .argument('<what...>', 'ids of rules, or all rules of a host or preset')
    .addOption(jsonOption('the policy'))
    .action(remove);
}

async function remove(whose: string, what: readonly string[], { json = false }: { readonly json?: boolean }) {
  const client = await connect();
  const of = await whosePolicy(client, whose);
  const { rules, version } = await client.egress.policy.get.query(of);
  const gone = what.flatMap((text) => {
    const found = rules.filter(({ id, host, preset }) => id === text || host === text || preset === text);
    if (found.length > 0) return found.map(({ id }) => id);
    throw new CaissonError('BAD_REQUEST', `No rule here is about ${text}.`, {
      hint: `List them with \`caisson egress show ${whose}\`.`,
    });
  });
  await printPolicy(await client.egress.policy.set.mutate({ ...of, remove: gone, version }), { whose, json });
}
