import { Command } from 'commander';
import { durationMs, jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { relativeTime } from '../output/relative-time.ts';
import { stderr, stdout, writeJson } from '../output/sink.ts';
import { roleOption, type UserRole } from '../role-option.ts';

interface Options {
  readonly role: UserRole;
  readonly email?: string;
  readonly expires?: number;
  readonly json?: boolean;
}

export function usersInviteCommand(): Command {
  return new Command('invite')
    .description(
      'Make a user, with an invitation that is shown this once: whoever has it comes in as the user, once. With --email it is a link where a password is set; else it is exchanged for an API key. Inviting again makes a new one. For administrators.',
    )
    .argument('<name>', 'of the user')
    .addOption(roleOption('of the user').default('member'))
    .option('--email <email>', 'that the user signs in with')
    .option(
      '--expires <time>',
      'how long it lasts, e.g. 2h or 30d (default: 7d)',
      durationMs({ least: '1m', most: '30d' }),
    )
    .addOption(jsonOption('the user with the invitation'))
    .action(invite);
}

async function invite(name: string, { role, email, expires: expiresIn, json = false }: Options): Promise<void> {
  const client = await connect();
  const invited = await client.users.invite.mutate({ name, role, email, expiresIn });
  if (json) return await writeJson(invited);
  await stdout.write(`${invited.url ?? invited.invitation}\n`);
  const ends = relativeTime(invited.expiresAt, Date.now());
  const next =
    invited.url === null
      ? 'They get their key where they have the command line, by: caisson users accept <invitation>'
      : 'They open this link, and set their password.';
  const note = `Invited ${invited.user.name} (${role}); ends ${ends}. ${next}`;
  await stderr.write(`${stderr.style('dim', note)}\n`);
}
