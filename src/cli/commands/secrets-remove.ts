import { Command } from 'commander';
import { CaissonError } from '../../kernel/errors.ts';
import { connect } from '../connection.ts';
import { stdout } from '../output/sink.ts';
import { readPlace } from '../secrets/place.ts';
import { whoseSecrets, whoseSecretsArgument } from '../secrets/whose-secrets.ts';

export function secretsRemoveCommand(): Command {
  return new Command('remove')
    .alias('rm')
    .description('Take a secret back. Connections that carry it are cut.')
    .argument(...whoseSecretsArgument)
    .argument('<what>', 'a host such as git.example.com:8443, or the id of a secret')
    .action(remove);
}

async function remove(whose: string, what: string): Promise<void> {
  const client = await connect();
  const of = await whoseSecrets(client, whose);
  const { items } = await client.secrets.list.query(of);
  const { host, port } = readPlace(what);
  const found = items.find((secret) => secret.id === what || (secret.host === host && secret.port === port));
  if (found === undefined) {
    throw new CaissonError('SECRET_NOT_FOUND', `There is no secret for ${what} here.`, {
      hint: `List them with \`caisson secrets list ${whose}\`.`,
    });
  }
  await client.secrets.remove.mutate({ ...of, secretId: found.id });
  await stdout.write(`Removed: ${found.host}:${found.port}\n`);
}
