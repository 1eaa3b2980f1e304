import { Command } from 'commander';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { stdout, writeJson } from '../output/sink.ts';

export function runsCancelCommand(): Command {
  return new Command('cancel')
    .description('Ask a run to stop. One that does not obey is stopped with its sandbox.')
    .argument('<run>', 'its id')
    .addOption(jsonOption('it'))
    .action(cancel);
}

async function cancel(runId: string, { json = false }: { readonly json?: boolean }): Promise<void> {
  const client = await connect();
  const run = await client.runs.cancel.mutate({ runId });
  if (json) await writeJson(run);
  else await stdout.write(run.endedAt === null ? `Asked ${run.id} to stop\n` : `Canceled ${run.id}\n`);
}
