import { Command } from 'commander';
import { remotePath } from '../files/remote-path.ts';

export function filesMkdirCommand(): Command {
  return new Command('mkdir')
    .description('Make a folder.')
    .argument('<agent:path>', 'the folder')
    .option('-p, --parents', 'with those above it; one that is there already is fine')
    .action(mkdir);
}

async function mkdir(text: string, { parents = false }: { readonly parents?: boolean }): Promise<void> {
  const { client, agentId, path } = await remotePath(text);
  await client.files.mkdir.mutate({ agentId, path, parents });
}
