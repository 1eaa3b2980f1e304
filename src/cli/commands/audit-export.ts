import { Command } from 'commander';
import { wholeNumber } from '../arguments.ts';
import { connect } from '../connection.ts';
import { writeBytes } from '../output/sink.ts';

export function auditExportCommand(): Command {
  return new Command('export')
    .description(
      'Print the audit, oldest first, one JSON object a line: `record`, its `hash`, and the `previous` hash, so that anybody can verify it.',
    )
    .option('--after <seq>', 'only records after this number', wholeNumber(0), 0)
    .action(exportAudit);
}

async function exportAudit({ after }: { readonly after: number }): Promise<void> {
  const client = await connect();
  for await (const bytes of await client.audit.export({ after })) await writeBytes(bytes);
}
