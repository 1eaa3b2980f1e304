import { Command } from 'commander';
import { get } from '../files/get.ts';
import { remotePath } from '../files/remote-path.ts';
import { CaissonError } from '../../kernel/errors.ts';

export function filesCatCommand(): Command {
  return new Command('cat')
    .description('Write a file to stdout, byte for byte.')
    .argument('<agent:path>', 'the file')
    .action(cat);
}

async function cat(text: string): Promise<void> {
  const remote = await remotePath(text);
  const { type } = await remote.client.files.stat.query({ agentId: remote.agentId, path: remote.path });
  if (type === 'directory') throw new CaissonError('IS_A_DIRECTORY', `${text} is a folder.`);
  await get(remote, '-');
}
