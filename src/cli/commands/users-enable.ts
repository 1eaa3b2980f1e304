import { Command } from 'commander';
import { jsonOption } from '../arguments.ts';
import { advice } from '../command-name.ts';
import { connect } from '../connection.ts';
import { findUser } from '../find-user.ts';
import { stdout, writeJson } from '../output/sink.ts';

export function usersEnableCommand(): Command {
  return new Command('enable')
    .description(
      'Let a disabled user in again, by new keys or a new password: the old ones stay void. For administrators.',
    )
    .argument('<user>', 'id or name')
    .addOption(jsonOption('it'))
    .action(enable);
}

async function enable(nameOrId: string, { json = false }: { readonly json?: boolean }): Promise<void> {
  const client = await connect();
  const { id: userId } = await findUser(client, nameOrId);
  const user = await client.users.enable.mutate({ userId });
  if (json) await writeJson(user);
  else
    await stdout.write(
      advice(
        `Enabled ${user.name}. It needs a new key (caisson keys create) or a new password (caisson users login-link).\n`,
      ),
    );
}
