import { Command } from 'commander';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { findUser } from '../find-user.ts';
import { stdout, writeJson } from '../output/sink.ts';

export function usersDisableCommand(): Command {
  return new Command('disable')
    .description(
      'End all that a user has, at once: keys, sessions and the password, connections, previews, runs, and the sandboxes of its agents. Its agents and their files stay. For administrators.',
    )
    .argument('<user>', 'id or name')
    .addOption(jsonOption('what ended'))
    .action(disable);
}

async function disable(nameOrId: string, { json = false }: { readonly json?: boolean }): Promise<void> {
  const client = await connect();
  const { id: userId } = await findUser(client, nameOrId);
  const disabled = await client.users.disable.mutate({ userId });
  if (json) return await writeJson(disabled);
  const { keys, runs, sandboxes } = disabled.ended;
  await stdout.write(
    `Disabled ${disabled.user.name}. Ended: keys and sessions ${keys}, runs ${runs}, sandboxes ${sandboxes}\n`,
  );
}
