import { Command } from 'commander';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { printListing } from '../output/listing.ts';
import { permissionColumns } from '../output/permission-columns.ts';
import { readPages } from '../pages.ts';
export function permissionsListCommand(): Command {
  return new Command('list')
    .description('List what waits for an answer, the oldest first.')
    .argument('[agent]', 'id or name (default: all your agents)')
    .addOption(jsonOption('them'))
    .action(list);
}

async function list(nameOrId: string | undefined, { json = false }: { readonly json?: boolean }): Promise<void> {
  const client = await connect();
  const filter = nameOrId === undefined ? {} : { agentId: (await findAgent(client, nameOrId)).id };
  const { pages } = await readPages(Number.POSITIVE_INFINITY, (page) =>
    client.permissions.list.query({ ...filter, ...page }),
  );
  await printListing({
    rows: pages.flat(),
    columns: permissionColumns(Date.now()),
    json,
    empty: 'Nothing waits for an answer.',
  });
}
