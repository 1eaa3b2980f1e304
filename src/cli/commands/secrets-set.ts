import { Command } from 'commander';
import type { ApiInputs } from '../../client/index.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { stdout, writeJson } from '../output/sink.ts';
import { type Place, readPlace } from '../secrets/place.ts';
import { secretValue } from '../secrets/secret-value.ts';
import { whoseSecrets, whoseSecretsArgument } from '../secrets/whose-secrets.ts';

interface Options {
  readonly basic?: string;
  readonly header?: string;
  readonly json?: boolean;
}

export function secretsSetCommand(): Command {
  return new Command('set')
    .description(
      'Give a host a secret, read from stdin or typed where nobody sees it. It is shown as `Authorization: Bearer`, unless an option says otherwise.',
    )
    .argument(...whoseSecretsArgument)
    .argument('<host>', 'such as api.example.com, or git.example.com:8443', readPlace)
    .option('--basic <user>', 'with a user name, as git shows it; for GitHub: x-access-token')
    .option('--header <name>', "in a header of the host's own, such as PRIVATE-TOKEN")
    .addOption(jsonOption('what is known of it'))
    .action(set);
}

async function set(whose: string, { host, port }: Place, options: Options): Promise<void> {
  const form = formOf(options);
  const client = await connect();
  const of = await whoseSecrets(client, whose);
  const value = await secretValue(`Secret for ${host}:${port} (it is not shown): `);
  const secret = await client.secrets.set.mutate({ ...of, host, port, form, value });
  if (options.json === true) return await writeJson(secret);
  await stdout.write(`${secret.id}\n`);
}

function formOf({ basic, header }: Options): ApiInputs['secrets']['set']['form'] {
  if (basic !== undefined && header !== undefined) {
    throw new CaissonError('BAD_REQUEST', 'A secret is shown in one way: --basic or --header, not both.');
  }
  if (basic !== undefined) return { kind: 'basic', username: basic };
  return header === undefined ? { kind: 'bearer' } : { kind: 'header', header };
}
