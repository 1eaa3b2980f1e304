import { Command } from 'commander';
import { CaissonError } from '../../kernel/errors.ts';
import { connect } from '../connection.ts';
import { exitCodes } from '../exit-codes.ts';
import { Exit } from '../failure.ts';
import { findOwnAgent } from '../find-agent.ts';
import { stderr, stdout } from '../output/sink.ts';

export function agentsDeleteCommand(): Command {
  return new Command('delete')
    .description('Delete an agent with its sandbox, workspace, conversations and events. This cannot be taken back.')
    .argument('<agent>', 'id or name')
    .option('--yes', 'do not ask')
    .action(remove);
}

/** One that is not there counts as deleted, so that a script can be run again. Someone else's is deleted by its id only. */
async function remove(nameOrId: string, { yes = false }: { readonly yes?: boolean }): Promise<void> {
  const client = await connect();
  const agent = await findOwnAgent(client, nameOrId);
  if (agent === undefined) {
    await stderr.write(`There is no agent ${nameOrId}; nothing was deleted.\n`);
    return;
  }
  if (!yes) await confirm(agent.name);
  await client.agents.delete.mutate({ agentId: agent.id });
  await stdout.write(`Deleted ${agent.name} ${agent.id}\n`);
}

async function confirm(name: string): Promise<void> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new CaissonError('BAD_REQUEST', 'Deleting an agent needs --yes where nobody can be asked.', {
      hint: `caisson agents delete ${name} --yes`,
    });
  }
  const answer = await ask(`Delete ${name} with its workspace and everything that was said? [y/N] `);
  if (answer !== undefined && /^y(es)?$/i.test(answer.trim())) return;
  await stderr.write(`${answer === undefined ? '\n' : ''}Nothing was deleted.\n`);
  throw new Exit(answer === undefined ? exitCodes.interrupted : exitCodes.failed);
}

/** Undefined: Ctrl-C or Ctrl-D. */
async function ask(question: string): Promise<string | undefined> {
  const { createInterface } = await import('node:readline');
  using terminal = createInterface({ input: process.stdin, output: process.stderr });
  return await new Promise((resolve) => {
    terminal.once('close', () => resolve(undefined)); // both keys close it
    terminal.question(question, resolve);
  });
}
