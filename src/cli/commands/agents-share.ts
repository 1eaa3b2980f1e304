import { Command, Option } from 'commander';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { stdout, writeJson } from '../output/sink.ts';

interface Options {
  readonly as: 'editor' | 'viewer';
  readonly json?: boolean;
}

export function agentsShareCommand(): Command {
  return new Command('share')
    .description(
      'Share an agent with a user, or change as what: an editor sends, approves and writes; a viewer watches.',
    )
    .argument('<agent>', 'id or name')
    .argument('<user>', 'name of the user')
    .addOption(new Option('--as <role>', 'what the user may do').choices(['viewer', 'editor']).default('viewer'))
    .addOption(jsonOption('the share'))
    .action(share);
}

async function share(nameOrId: string, user: string, { as: role, json = false }: Options): Promise<void> {
  const client = await connect();
  const { id: agentId, name } = await findAgent(client, nameOrId);
  const shared = await client.agents.share.mutate({ agentId, user, role });
  if (json) await writeJson(shared);
  else await stdout.write(`${shared.user.name} is ${role === 'editor' ? 'an editor' : 'a viewer'} of ${name}\n`);
}
