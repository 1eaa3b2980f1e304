import { Command } from 'commander';
import { remotePath, sameAgent } from '../files/remote-path.ts';

export function filesMvCommand(): Command {
  return new Command('mv')
    .description('Rename or move a file or folder.')
    .argument('<agent:from>', 'what')
    .argument('<to>', 'the new path, on the same agent; ending with a slash: into that folder')
    .option('-f, --force', 'replace a file that is there')
    .action(mv);
}

async function mv(from: string, to: string, { force = false }: { readonly force?: boolean }): Promise<void> {
  const { client, agentId, path } = await remotePath(from);
  await client.files.move.mutate({ agentId, from: path, to: sameAgent(from, to), overwrite: force });
}
