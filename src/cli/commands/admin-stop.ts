import { Command } from 'commander';
import { connect } from '../connection.ts';
import { findSandbox } from '../find-sandbox.ts';
import { stdout } from '../output/sink.ts';

export function adminStopCommand(): Command {
  return new Command('stop')
    .description("End what runs in a sandbox, whoever's. Its files stay; it starts again when it is needed.")
    .argument('<agent>', 'its id, or a name that only one agent has')
    .action(stop);
}

async function stop(nameOrId: string): Promise<void> {
  const client = await connect();
  const agentId = await findSandbox(client, nameOrId);
  const { existed } = await client.admin.sandboxes.stop.mutate({ agentId });
  await stdout.write(existed ? `Stopped ${nameOrId}\n` : `There is no sandbox of ${nameOrId}\n`);
}
