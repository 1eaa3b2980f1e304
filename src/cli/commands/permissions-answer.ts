import { Command, Option } from 'commander';
import { CaissonError } from '../../kernel/errors.ts';
import type { CaissonClient } from '../../client/index.ts';
import { connect } from '../connection.ts';
import { oneLine } from '../output/printable.ts';
import { stdout } from '../output/sink.ts';
import { readPages } from '../pages.ts';
import { optionFor } from '../turn/permission-question.ts';

interface Options {
  readonly option?: string;
  readonly allow?: boolean;
  readonly reject?: boolean;
}

export function permissionsAnswerCommand(): Command {
  return new Command('answer')
    .description('Answer a permission request. The first answer counts.')
    .argument('<permission>', 'its id')
    .addOption(new Option('--option <id>', 'with this option of it').conflicts(['allow', 'reject']))
    .addOption(new Option('--allow', 'with yes, for this time if it can be').conflicts(['option', 'reject']))
    .addOption(new Option('--reject', 'with no; an agent may end its turn then').conflicts(['option', 'allow']))
    .action(answer);
}

async function answer(permissionId: string, options: Options): Promise<void> {
  const client = await connect();
  const optionId = await chooseOption(client, permissionId, options);
  await client.permissions.respond.mutate({ permissionId, optionId });
  await stdout.write(`Answered ${permissionId}: ${optionId === null ? 'rejected' : oneLine(optionId)}\n`);
}

async function chooseOption(client: CaissonClient, permissionId: string, options: Options): Promise<string | null> {
  if (options.option !== undefined) return options.option;
  if (options.allow !== true && options.reject !== true) {
    throw new CaissonError('BAD_REQUEST', 'Say what the answer is.', {
      hint: 'Give --allow, --reject or --option <id>.',
    });
  }
  const { pages } = await readPages(Number.POSITIVE_INFINITY, (page) => client.permissions.list.query(page));
  const request = pages.flat().find(({ id }) => id === permissionId);
  // Answered without its options, a request that is over or unknown gets the control plane's own error.
  const optionId = optionFor(options.allow === true ? 'allow' : 'reject', request?.options ?? []);
  if (optionId !== undefined || options.reject === true) return optionId ?? null;
  if (request === undefined) return 'allow';
  throw new CaissonError('BAD_REQUEST', 'This request has no option that allows it.', {
    hint: `Choose one with --option: ${request.options.map((option) => option.optionId).join(', ')}.`,
  });
}
