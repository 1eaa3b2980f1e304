import { Command, Option } from 'commander';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { stderr, stdout, writeJson } from '../output/sink.ts';

interface Options {
  readonly role: 'admin' | 'member';
  readonly name: string;
  readonly json?: boolean;
}

export function keysCreateCommand(): Command {
  return new Command('create')
    .description(
      'Make a key, and its user where there is none of that name. The secret is shown this once. For administrators.',
    )
    .argument('<user>', 'whose key it is')
    .addOption(new Option('--role <role>', 'of the user').choices(['member', 'admin']).default('member'))
    .option('--name <name>', 'to tell the keys of a user apart', 'default')
    .addOption(jsonOption('the key with its secret'))
    .action(create);
}

async function create(user: string, { role, name, json = false }: Options): Promise<void> {
  const client = await connect();
  const made = await client.keys.create.mutate({ user, role, name });
  if (json) return await writeJson(made);
  await stdout.write(`${made.secret}\n`);
  await stderr.write(
    `${stderr.style('dim', `Key ${made.key.id} of ${made.key.user.name} (${made.key.user.role}). It is not shown again.`)}\n`,
  );
}
