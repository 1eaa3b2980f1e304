import { Command } from 'commander';
import { CaissonError } from '../../kernel/errors.ts';
import { connect } from '../connection.ts';
import { exitCodes } from '../exit-codes.ts';
import { Exit } from '../failure.ts';
import { findAgent } from '../find-agent.ts';
import { stderr, stdout } from '../output/sink.ts';

export function agentsDeleteCommand(): Command {
  return new Command('delete')
    .description('Delete an agent with its sandbox, workspace, conversations and events. This cannot be taken back.')
    .argument('<agent>', 'id or name')
    .option('--yes', 'do not ask')
    .action(remove);
}

/** One that is not there counts as deleted, so that a script can be run again. */
async function remove(nameOrId: string, { yes = false }: { readonly yes?: boolean }): Promise<void> {
  const client = await connect();
  const agent = await unlessMissing(() => findAgent(client, nameOrId));
  if (agent === undefined) {
    await stderr.write(`There is no agent ${nameOrId}; nothing was deleted.\n`);
    return;
  }
  if (!yes) await confirm(agent.name);
  await client.agents.delete.mutate({ agentId: agent.id });
  await stdout.write(`Deleted ${agent.name} ${agent.id}\n`);
}

async function unlessMissing<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (thrown) {
    if (thrown instanceof CaissonError && thrown.code === 'AGENT_NOT_FOUND') return undefined;
    throw thrown;
  }
}

async function confirm(name: string): Promise<void> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new CaissonError('BAD_REQUEST', 'Deleting an agent needs --yes where nobody can be asked.', {
      hint: `caisson agents delete ${name} --yes`,
    });
  }
  const { createInterface } = await import('node:readline/promises');
  using terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`Delete ${name} with its workspace and everything that was said? [y/N] `);
  if (/^y(es)?$/i.test(answer.trim())) return;
  await stderr.write('Nothing was deleted.\n');
  throw new Exit(exitCodes.failed);
}
