import { Command } from 'commander';
import { durationMs, jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { findUser } from '../find-user.ts';
import { relativeTime } from '../output/relative-time.ts';
import { stderr, stdout, writeJson } from '../output/sink.ts';

interface Options {
  readonly email?: string;
  readonly expires?: number;
  readonly json?: boolean;
}

export function usersLoginLinkCommand(): Command {
  return new Command('login-link')
    .description(
      'Make a link, shown this once, with which a user sets a password: to sign in with a browser for the first time, or because it was forgotten. Setting it ends all sessions of the user. For administrators.',
    )
    .argument('<user>', 'id or name')
    .option('--email <email>', 'that the user signs in with (default: the one that it has)')
    .option(
      '--expires <time>',
      'how long it lasts, e.g. 2h or 30d (default: 7d)',
      durationMs({ least: '1m', most: '30d' }),
    )
    .addOption(jsonOption('the user with the link'))
    .action(loginLink);
}

async function loginLink(nameOrId: string, { email, expires: expiresIn, json = false }: Options): Promise<void> {
  const client = await connect();
  const { id: userId } = await findUser(client, nameOrId);
  const invited = await client.users.resetLogin.mutate({ userId, email, expiresIn });
  if (json) return await writeJson(invited);
  await stdout.write(`${invited.url ?? invited.invitation}\n`);
  const note = `For ${invited.user.name}; ends ${relativeTime(invited.expiresAt, Date.now())}.`;
  await stderr.write(`${stderr.style('dim', note)}\n`);
}
