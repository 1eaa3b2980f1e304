import { Command } from 'commander';
import { durationMs, jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { relativeTime } from '../output/relative-time.ts';
import { stderr, stdout, writeJson } from '../output/sink.ts';
import { roleOption, type UserRole } from '../role-option.ts';

interface Options {
  readonly role: UserRole;
  readonly expires?: number;
  readonly json?: boolean;
}

export function usersInviteCommand(): Command {
  return new Command('invite')
    .description(
      'Make a user, with an invitation that is shown this once: whoever has it gets the key of the user, once. Inviting again makes a new one. For administrators.',
    )
    .argument('<name>', 'of the user')
    .addOption(roleOption())
    .option(
      '--expires <time>',
      'how long it lasts, e.g. 2h or 30d (default: 7d)',
      durationMs({ least: '1m', most: '30d' }),
    )
    .addOption(jsonOption('the user with the invitation'))
    .action(invite);
}

async function invite(name: string, { role, expires: expiresIn, json = false }: Options): Promise<void> {
  const client = await connect();
  const invited = await client.users.invite.mutate({ name, role, expiresIn });
  if (json) return await writeJson(invited);
  await stdout.write(`${invited.invitation}\n`);
  const ends = relativeTime(invited.expiresAt, Date.now());
  const note = `Invited ${invited.user.name} (${role}); ends ${ends}. They get their key by: caisson users accept <invitation>`;
  await stderr.write(`${stderr.style('dim', note)}\n`);
}
