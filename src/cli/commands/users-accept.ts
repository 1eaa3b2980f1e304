import { Command } from 'commander';
import { jsonOption } from '../arguments.ts';
import { controlPlaneUrl } from '../connection.ts';
import { stderr, stdout, writeJson } from '../output/sink.ts';

interface Options {
  readonly name: string;
  readonly json?: boolean;
}

export function usersAcceptCommand(): Command {
  return new Command('accept')
    .description('Exchange an invitation for an API key, which is shown this once. Needs no key.')
    .argument('<invitation>', 'as `caisson users invite` printed it')
    .option('--name <name>', 'of the key', 'default')
    .addOption(jsonOption('the key with its secret'))
    .action(accept);
}

async function accept(invitation: string, { name, json = false }: Options): Promise<void> {
  const { createCaissonClient } = await import('../../client/index.ts');
  const client = createCaissonClient({ url: controlPlaneUrl(process.env), apiKey: 'none' });
  const made = await client.users.accept.mutate({ invitation, name });
  if (json) return await writeJson(made);
  await stdout.write(`${made.secret}\n`);
  const { user } = made.key;
  const note = `You are ${user.name} (${user.role}). Set CAISSON_API_KEY to this key; it is not shown again.`;
  await stderr.write(`${stderr.style('dim', note)}\n`);
}
