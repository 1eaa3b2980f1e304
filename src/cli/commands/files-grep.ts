import { Command } from 'commander';
import { jsonOption, oneMore, wholeNumber } from '../arguments.ts';
import { printMatches } from '../files/print-matches.ts';
import { remotePath } from '../files/remote-path.ts';

interface Options {
  readonly ignoreCase?: boolean;
  readonly fixed?: boolean;
  readonly all?: boolean;
  readonly glob?: readonly string[];
  readonly limit: number;
  readonly json?: boolean;
}

export function filesGrepCommand(): Command {
  return new Command('grep')
    .description('Search the content of files with ripgrep. Ends with 1 where nothing is found.')
    .argument('<agent[:path]>', 'the folder; the workspace without a path')
    .argument('<query>', 'a regular expression')
    .option('-i, --ignore-case', 'capitals do not matter')
    .option('-F, --fixed', 'the query is plain text')
    .option('-a, --all', 'hidden and ignored files too')
    .option('-g, --glob <glob>', 'only files that match; ! in front excludes; may be given several times', oneMore)
    .option('--limit <n>', 'at most this many matches', wholeNumber(1, 10_000), 1_000)
    .addOption(jsonOption('each match, one a line,'))
    .action(grep);
}

async function grep(text: string, query: string, options: Options): Promise<void> {
  const { client, agentId, path } = await remotePath(text);
  const items = client.files.search({
    agentId,
    path,
    query,
    by: 'content',
    literal: options.fixed ?? false,
    ignoreCase: options.ignoreCase ?? false,
    includeIgnored: options.all ?? false,
    globs: [...(options.glob ?? [])],
    limit: options.limit,
  });
  await printMatches(items, { json: options.json ?? false });
}
