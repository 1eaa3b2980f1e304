import { Command } from 'commander';
import { remotePath, sameAgent } from '../files/remote-path.ts';

export function filesCpCommand(): Command {
  return new Command('cp')
    .description('Copy a file, or a folder with all that is in it.')
    .argument('<agent:from>', 'what')
    .argument('<to>', 'the new path, on the same agent; ending with a slash: into that folder')
    .option('-f, --force', 'replace a file that is there')
    .action(cp);
}

async function cp(from: string, to: string, { force = false }: { readonly force?: boolean }): Promise<void> {
  const { client, agentId, path } = await remotePath(from);
  await client.files.copy.mutate({ agentId, from: path, to: sameAgent(from, to), overwrite: force });
}
