import { Command } from 'commander';
import { confirm } from '../confirm.ts';
import { connect } from '../connection.ts';
import { findOwnAgent } from '../find-agent.ts';
import { stderr, stdout } from '../output/sink.ts';

export function agentsDeleteCommand(): Command {
  return new Command('delete')
    .description('Delete an agent with its sandbox, workspace, conversations and events. This cannot be taken back.')
    .argument('<agent>', 'id or name')
    .option('--yes', 'do not ask')
    .action(remove);
}

/** One that is not there counts as deleted, so that a script can be run again. Someone else's is deleted by its id only. */
async function remove(nameOrId: string, { yes = false }: { readonly yes?: boolean }): Promise<void> {
  const client = await connect();
  const agent = await findOwnAgent(client, nameOrId);
  if (agent === undefined) {
    await stderr.write(`There is no agent ${nameOrId}; nothing was deleted.\n`);
    return;
  }
  if (!yes) {
    await confirm(`Delete ${agent.name} with its workspace and everything that was said? [y/N] `, {
      refusal: 'Deleting an agent needs --yes where nobody can be asked.',
      hint: `caisson agents delete ${agent.name} --yes`,
      unchanged: 'Nothing was deleted.',
    });
  }
  await client.agents.delete.mutate({ agentId: agent.id });
  await stdout.write(`Deleted ${agent.name} ${agent.id}\n`);
}
