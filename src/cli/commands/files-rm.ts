import { Command } from 'commander';
import { remotePath } from '../files/remote-path.ts';

export function filesRmCommand(): Command {
  return new Command('rm')
    .description('Remove a file, a link or an empty folder.')
    .argument('<agent:path>', 'what to remove')
    .option('-r, --recursive', 'a folder with all that is in it')
    .action(rm);
}

async function rm(text: string, { recursive = false }: { readonly recursive?: boolean }): Promise<void> {
  const { client, agentId, path } = await remotePath(text);
  await client.files.remove.mutate({ agentId, path, recursive });
}
