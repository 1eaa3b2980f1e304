import { Command } from 'commander';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { stdout, writeJson } from '../output/sink.ts';

export function keysRevokeCommand(): Command {
  return new Command('revoke')
    .description('Revoke a key at once.')
    .argument('<key>', 'its id')
    .addOption(jsonOption('it'))
    .action(revoke);
}

async function revoke(keyId: string, { json = false }: { readonly json?: boolean }): Promise<void> {
  const client = await connect();
  const key = await client.keys.revoke.mutate({ keyId });
  if (json) await writeJson(key);
  else await stdout.write(`Revoked ${key.id} of ${key.user.name}\n`);
}
