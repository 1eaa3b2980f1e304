import { Command } from 'commander';
import { byteSize } from '../../kernel/byte-size.ts';
import { get as download } from '../files/get.ts';
import { tellLeftOut } from '../files/left-out.ts';
import { remotePath } from '../files/remote-path.ts';
import { stderr } from '../output/sink.ts';

export function filesGetCommand(): Command {
  return new Command('get')
    .description(
      'Download a file, or a folder with all that is in it. Links that could lead out of the folder are left out, and so are pipes, sockets and devices.',
    )
    .argument('<agent:path>', 'file or folder; ending with a slash: what is in the folder')
    .argument(
      '[local]',
      'where to; into a folder that is there, under its own name. Default: its own name, here. - for stdout',
    )
    .action(get);
}

async function get(text: string, local: string | undefined): Promise<void> {
  const remote = await remotePath(text);
  const { files, bytes, to, ...left } = await download(remote, local);
  await tellLeftOut(left);
  if (to !== '-') await stderr.write(`Got ${files} ${files === 1 ? 'file' : 'files'}, ${byteSize(bytes)}, in ${to}\n`);
}
