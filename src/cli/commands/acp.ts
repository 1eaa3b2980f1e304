import { Command } from 'commander';
import { connect } from '../connection.ts';
import { exitCodes } from '../exit-codes.ts';
import { findAgent } from '../find-agent.ts';

export function acpCommand(): Command {
  return new Command('acp')
    .description(
      'Serve an agent over the Agent Client Protocol on stdin and stdout, for editors such as Zed.\n' +
        'The agent works in its sandbox: it does not see the files of the editor but what is put into the message.\n' +
        'When the editor goes away, a turn that is under way goes on; load the session to see how it ended.',
    )
    .argument('<agent>', 'id or name')
    .action(acp);
}

async function acp(nameOrId: string): Promise<void> {
  const [client, { serveEditor }] = await Promise.all([connect(), import('../acp-bridge/serve-editor.ts')]);
  const agent = await findAgent(client, nameOrId);
  await serveEditor({ client, agent });
  process.exit(exitCodes.ok); // a turn that is still being followed must not keep the process
}
