import { Command } from 'commander';
import type { FileInfo } from '../../client/index.ts';
import { byteSize } from '../../kernel/byte-size.ts';
import { jsonOption } from '../arguments.ts';
import { lastName, remotePath } from '../files/remote-path.ts';
import { modeText } from '../output/mode-text.ts';
import { printListing } from '../output/listing.ts';
import { relativeTime } from '../output/relative-time.ts';
import { writeJsonLine } from '../output/sink.ts';

/** More are not laid out as a table. */
const mostRows = 10_000;

interface Options {
  readonly recursive?: boolean;
  readonly json?: boolean;
}

export function filesLsCommand(): Command {
  return new Command('ls')
    .description('List a folder, or show one file.')
    .argument('<agent[:path]>', 'the folder; the workspace without a path')
    .option('-r, --recursive', 'with all that is below it')
    .addOption(jsonOption('each entry, one a line,'))
    .action(ls);
}

async function ls(remote: string, { recursive = false, json = false }: Options): Promise<void> {
  const { client, agentId, path } = await remotePath(remote);
  const info = await client.files.stat.query({ agentId, path });
  const entries = info.type === 'directory' ? client.files.listAll({ agentId, path, recursive }) : [info];
  const rows: FileInfo[] = [];
  let isCut = false;
  for await (const entry of entries) {
    if (json) await writeJsonLine(entry);
    else if (rows.length < mostRows) rows.push(entry);
    else {
      isCut = true;
      break;
    }
  }
  if (json) return;
  const now = Date.now();
  const shownName = (entry: FileInfo): string =>
    recursive ? entry.path.slice(info.path.length + 1) : lastName(entry.path);
  await printListing<FileInfo>({
    rows,
    columns: [
      {
        title: 'mode',
        value: modeText,
        style: () => 'dim',
      },
      { title: 'size', value: ({ type, size }) => (type === 'file' ? byteSize(size) : ''), align: 'right' },
      { title: 'modified', value: ({ modifiedAt }) => relativeTime(modifiedAt, now), whenNarrow: 'leave-out' },
      { title: 'name', value: (entry) => `${shownName(entry)}${suffix(entry)}` },
    ],
    json: false,
    empty: 'The folder is empty.',
    isCut,
  });
}

function suffix({ type, target }: FileInfo): string {
  if (type === 'directory') return '/';
  return target === null ? '' : ` -> ${target}`;
}
