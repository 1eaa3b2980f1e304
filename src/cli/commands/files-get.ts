import { Command } from 'commander';
import { get as download } from '../files/get.ts';
import { sizeText } from '../files/progress.ts';
import { remotePath } from '../files/remote-path.ts';
import { oneLine } from '../output/printable.ts';
import { stderr } from '../output/sink.ts';

export function filesGetCommand(): Command {
  return new Command('get')
    .description(
      'Download a file, or a folder with all that is in it. Links that could lead out of the folder are left out.',
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
  const { files, bytes, leftOut, leftOutTotal, to } = await download(remote, local);
  for (const name of leftOut) await stderr.write(`Left out, since it could lead out of the folder: ${oneLine(name)}\n`);
  const more = leftOutTotal - leftOut.length;
  if (more > 0) await stderr.write(`… and ${more} more\n`);
  if (to !== '-') await stderr.write(`Got ${files} ${files === 1 ? 'file' : 'files'}, ${sizeText(bytes)}, in ${to}\n`);
}
