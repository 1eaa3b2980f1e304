import { Command } from 'commander';
import { oneMore } from '../arguments.ts';
import { remotePath } from '../files/remote-path.ts';
import { stderr, writeJsonLine } from '../output/sink.ts';

interface Options {
  readonly cursor?: string;
  readonly exclude?: readonly string[];
}

export function filesWatchCommand(): Command {
  return new Command('watch')
    .description('Print what changes in a folder, one JSON object a line, until you stop it.')
    .argument('<agent[:path]>', 'the folder; the workspace without a path')
    .option('--cursor <cursor>', 'go on after an item that was printed before')
    .option(
      '--exclude <name>',
      'a folder that is not watched; may be given several times (default: .git, node_modules)',
      oneMore,
    )
    .action(watch);
}

async function watch(text: string, { cursor, exclude }: Options): Promise<void> {
  const { client, agentId, path } = await remotePath(text);
  const items = client.files.watch({
    agentId,
    path,
    cursor: cursor ?? null,
    onReconnect: ({ message }) => void stderr.write(`${message} Trying again …\n`),
    ...(exclude === undefined ? {} : { exclude: [...exclude] }),
  });
  for await (const item of items) await writeJsonLine(item);
}
