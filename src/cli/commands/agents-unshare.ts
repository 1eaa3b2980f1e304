import { Command } from 'commander';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { stderr, stdout } from '../output/sink.ts';

export function agentsUnshareCommand(): Command {
  return new Command('unshare')
    .description('Take an agent back from a user, at once: what the user has open there ends.')
    .argument('<agent>', 'id or name')
    .argument('<user>', 'name of the user')
    .action(unshare);
}

async function unshare(nameOrId: string, user: string): Promise<void> {
  const client = await connect();
  const { id: agentId, name } = await findAgent(client, nameOrId);
  const { existed } = await client.agents.unshare.mutate({ agentId, user });
  if (existed) await stdout.write(`${name} is no longer shared with ${user}\n`);
  else await stderr.write(`${name} is not shared with ${user}; nothing was changed.\n`);
}
