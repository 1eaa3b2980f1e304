import { Command, InvalidArgumentError, Option } from 'commander';
import type { ApiInputs, CaissonClient } from '../../client/index.ts';
import { durationMs, jsonOption, oneMore } from '../arguments.ts';
import { connect } from '../connection.ts';
import { findAgent } from '../find-agent.ts';
import { isUserId } from '../find-user.ts';
import { stderr, stdout, writeJson } from '../output/sink.ts';
import { roleOption, type UserRole } from '../role-option.ts';

type Scope = NonNullable<ApiInputs['keys']['create']['scopes']>[number];

interface Options {
  readonly newUser?: boolean;
  readonly role?: UserRole;
  readonly name: string;
  readonly scope?: readonly Scope[];
  readonly agent?: readonly string[];
  readonly expires?: number;
  readonly json?: boolean;
}

const scopes = ['view', 'use', 'own', 'oversee', 'administer'] as const satisfies readonly Scope[];

export function keysCreateCommand(): Command {
  return new Command('create')
    .description('Make a key for a user. The secret is shown this once. For who has the key in the data directory.')
    .argument('<user>', 'whose key it is: id or name')
    .option('--new-user', 'make the user too, where there is none of that name')
    .addOption(roleOption('of the new user, who is a member otherwise'))
    .option('--name <name>', 'to tell the keys of a user apart', 'default')
    .addOption(scopeOption())
    .option('--agent <agent>', 'it reaches this agent only; can be given several times', oneMore)
    .option('--expires <time>', 'how long it lasts, e.g. 8h or 90d (default: for ever)', durationMs({ least: '1s' }))
    .addOption(jsonOption('the key with its secret'))
    .action(create);
}

function scopeOption(): Option {
  return new Option(
    '--scope <scope>',
    `what it may be used for: ${scopes.join(', ')}; can be given several times (default: all)`,
  ).argParser((text: string, previous: readonly Scope[] | undefined) => {
    const scope = scopes.find((each) => each === text);
    if (scope === undefined) throw new InvalidArgumentError(`Allowed choices are ${scopes.join(', ')}.`);
    return [...(previous ?? []), scope];
  });
}

async function create(nameOrId: string, options: Options): Promise<void> {
  const { newUser = false, role, name, scope, expires: expiresIn, json = false } = options;
  const client = await connect();
  const user = newUser ? nameOrId : await nameOf(client, nameOrId);
  const agents = options.agent && (await idsOf(client, options.agent));
  const made = await client.keys.create.mutate({ user, newUser, role, name, scopes: scope, agents, expiresIn });
  if (json) return await writeJson(made);
  await stdout.write(`${made.secret}\n`);
  await stderr.write(
    `${stderr.style('dim', `Key ${made.key.id} of ${made.key.user.name} (${made.key.user.role}). It is not shown again.`)}\n`,
  );
}

async function nameOf(client: CaissonClient, nameOrId: string): Promise<string> {
  return isUserId(nameOrId) ? (await client.users.get.query({ userId: nameOrId })).name : nameOrId;
}

async function idsOf(client: CaissonClient, agents: readonly string[]): Promise<string[]> {
  const ids: string[] = [];
  for (const nameOrId of agents) ids.push((await findAgent(client, nameOrId)).id);
  return ids;
}
