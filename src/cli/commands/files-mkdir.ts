import { Command } from 'commander';
import { CaissonError } from '../../kernel/errors.ts';
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
  try {
    await client.files.mkdir.mutate({ agentId, path, parents });
  } catch (thrown) {
    if (!(thrown instanceof CaissonError) || thrown.code !== 'FILE_NOT_FOUND') throw thrown;
    const above = path.replace(/\/*[^/]*\/*$/, '');
    throw new CaissonError('FILE_NOT_FOUND', `${JSON.stringify(above)}: there is no such folder.`, { cause: thrown });
  }
}
