import { Command } from 'commander';
import { confirm } from '../confirm.ts';
import { connect } from '../connection.ts';
import { findUser } from '../find-user.ts';
import { stdout } from '../output/sink.ts';

interface Options {
  readonly withAgents?: boolean;
  readonly yes?: boolean;
}

export function usersDeleteCommand(): Command {
  return new Command('delete')
    .description(
      'Disable a user, then delete it with its keys and shares. This cannot be taken back. With --with-agents its agents are deleted too; else it must have none. For administrators.',
    )
    .argument('<user>', 'id or name')
    .option('--with-agents', 'delete its agents as well, with their files and all that was said')
    .option('--yes', 'do not ask')
    .action(remove);
}

async function remove(nameOrId: string, { withAgents = false, yes = false }: Options): Promise<void> {
  const client = await connect();
  const { id: userId, name } = await findUser(client, nameOrId);
  if (!yes) {
    await confirm(`Delete ${name}${withAgents ? ' with all agents and their files' : ''}? [y/N] `, {
      refusal: 'Deleting a user needs --yes where nobody can be asked.',
      hint: `caisson users delete ${name}${withAgents ? ' --with-agents' : ''} --yes`,
      unchanged: 'Nothing was deleted.',
    });
  }
  const { deletedAgents } = await client.users.delete.mutate({ userId, agents: withAgents ? 'delete' : 'keep' });
  const agents = deletedAgents === 1 ? '1 agent' : `${deletedAgents} agents`;
  await stdout.write(`Deleted ${name}${deletedAgents === 0 ? '' : ` and ${agents}`}\n`);
}
