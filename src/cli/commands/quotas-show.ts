import { Command } from 'commander';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { printStatement } from '../output/print-statement.ts';
import { quotaHolder, quotaHolderWords } from '../quota-holder.ts';

export function quotasShowCommand(): Command {
  return new Command('show')
    .description('Show what you may use and have used. Administrators see everyone.')
    .argument('[whose]', `${quotaHolderWords} (default: yourself)`)
    .addOption(jsonOption('it'))
    .action(show);
}

async function show(whose: string | undefined, { json = false }: { readonly json?: boolean }): Promise<void> {
  const client = await connect();
  const of = whose === undefined ? {} : { of: await quotaHolder(client, whose) };
  await printStatement(await client.quotas.get.query(of), json);
}
