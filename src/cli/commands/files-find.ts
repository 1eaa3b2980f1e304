import { Command } from 'commander';
import { jsonOption, oneMore, wholeNumber } from '../arguments.ts';
import { printMatches } from '../files/print-matches.ts';
import { remotePath } from '../files/remote-path.ts';

interface Options {
  readonly ignoreCase?: boolean;
  readonly all?: boolean;
  readonly glob?: readonly string[];
  readonly limit: number;
  readonly json?: boolean;
}

export function filesFindCommand(): Command {
  return new Command('find')
    .description('Find files by name. Ends with 1 where nothing is found.')
    .argument('<agent[:path]>', 'the folder; the workspace without a path')
    .argument('<query>', 'a part of the name, or a glob such as *.ts')
    .option('-i, --ignore-case', 'capitals do not matter')
    .option('-a, --all', 'hidden and ignored files too')
    .option('-g, --glob <glob>', 'only files that match; ! in front excludes; may be given several times', oneMore)
    .option('--limit <n>', 'at most this many matches', wholeNumber(1, 10_000), 1_000)
    .addOption(jsonOption('each match, one a line,'))
    .action(find);
}

async function find(text: string, query: string, options: Options): Promise<void> {
  const { client, agentId, path } = await remotePath(text);
  const items = client.files.search({
    agentId,
    path,
    query,
    by: 'name',
    ignoreCase: options.ignoreCase ?? false,
    includeIgnored: options.all ?? false,
    globs: [...(options.glob ?? [])],
    limit: options.limit,
  });
  await printMatches(items, { json: options.json ?? false });
}
