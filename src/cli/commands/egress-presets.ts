import { Command } from 'commander';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { printListing } from '../output/listing.ts';

export function egressPresetsCommand(): Command {
  return new Command('presets')
    .description('List hosts that belong together, by the names that rules call them.')
    .addOption(jsonOption('them'))
    .action(presets);
}

async function presets({ json = false }: { readonly json?: boolean }): Promise<void> {
  const { items } = await (await connect()).egress.policy.presets.query();
  await printListing({
    rows: items,
    columns: [
      { title: 'preset', value: ({ name }) => name },
      { title: 'what', value: ({ about }) => about },
      {
        title: 'hosts',
        value: ({ hosts }) => hosts.map(({ host, ports }) => `${host}:${ports.join(',')}`).join(' '),
        whenNarrow: 'shorten',
      },
    ],
    json,
    empty: 'There are none.',
  });
}
