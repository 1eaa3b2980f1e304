import { Command } from 'commander';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { printPolicy } from '../egress/print-policy.ts';
import { whoseArgument, whosePolicy } from '../egress/whose-policy.ts';

export function egressShowCommand(): Command {
  return new Command('show')
    .description('Show who may go where: the mode, and the rules.')
    .argument(...whoseArgument)
    .addOption(jsonOption('the policy'))
    .action(show);
}

async function show(whose: string, { json = false }: { readonly json?: boolean }): Promise<void> {
  const client = await connect();
  await printPolicy(await client.egress.policy.get.query(await whosePolicy(client, whose)), { whose, json });
}
