import { Command } from 'commander';
import type { QuotaPlan } from '../../client/index.ts';
import { amountText } from '../../controlplane/quotas/amount-text.ts';
import { dimensionNames } from '../../controlplane/quotas/dimension.ts';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { byteSize } from '../../kernel/byte-size.ts';
import { printListing } from '../output/listing.ts';

export function quotasPlansCommand(): Command {
  return new Command('plans')
    .description('List the plans. For administrators.')
    .addOption(jsonOption('them'))
    .action(list);
}

async function list({ json = false }: { readonly json?: boolean }): Promise<void> {
  const client = await connect();
  const { items } = await client.quotas.plans.query();
  const columns = [
    { title: 'plan', value: ({ name }: QuotaPlan) => name },
    { title: 'limits', value: limitsText, whenNarrow: 'shorten' as const },
  ];
  await printListing({ rows: items, columns, json, empty: "No plans: everyone has the configuration's limits." });
}

function limitsText({ limits }: QuotaPlan): string {
  const said = dimensionNames.map((name) => {
    const limit = limits[name];
    if (limit === undefined) return undefined;
    return `${name}=${limit === null ? 'none' : amountText(name, limit, byteSize)}`;
  });
  return said.filter((text) => text !== undefined).join(', ');
}
