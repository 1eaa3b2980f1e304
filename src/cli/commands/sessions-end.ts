import { Command } from 'commander';
import { connect } from '../connection.ts';
import { stdout } from '../output/sink.ts';

export function sessionsEndCommand(): Command {
  return new Command('end')
    .description('Sign out a browser at once; without an id, all that are signed in as you.')
    .argument('[session]', 'its id')
    .action(end);
}

async function end(sessionId: string | undefined): Promise<void> {
  const client = await connect();
  if (sessionId === undefined) {
    const { ended } = await client.sessions.revokeAll.mutate();
    await stdout.write(`Signed out ${ended}\n`);
    return;
  }
  await client.sessions.revoke.mutate({ sessionId });
  await stdout.write(`Signed out ${sessionId}\n`);
}
