import { basename } from 'node:path';
import { Command } from 'commander';
import { byteSize } from '../../kernel/byte-size.ts';
import { tellLeftOut } from '../files/left-out.ts';
import { put as upload } from '../files/put.ts';
import { remotePath } from '../files/remote-path.ts';
import { oneLine } from '../output/printable.ts';
import { stderr } from '../output/sink.ts';

export function filesPutCommand(): Command {
  return new Command('put')
    .description(
      'Upload a file, or a folder with all that is in it. A file is replaced when all of it has come. ' +
        'Links that could lead out of the folder are left out.',
    )
    .argument('<local>', 'file or folder of this machine; - for stdin')
    .argument('<agent:path>', 'where to; ending with a slash: into that folder, under its own name')
    .action(put);
}

async function put(local: string, target: string): Promise<void> {
  const remote = await remotePath(target);
  const isInto = (remote.path === '' || remote.path.endsWith('/')) && local !== '-';
  const path = isInto ? `${remote.path}${basename(local) === '.' ? '' : basename(local)}` : remote.path;
  const { files, bytes, ...left } = await upload(local, { ...remote, path });
  await tellLeftOut(left);
  const where = oneLine(`${target.split(':', 1).join()}:${path === '' ? '/workspace' : path}`);
  await stderr.write(`Put ${files} ${files === 1 ? 'file' : 'files'}, ${byteSize(bytes)}, in ${where}\n`);
}
