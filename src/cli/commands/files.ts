import { Command } from 'commander';
import { filesCatCommand } from './files-cat.ts';
import { filesCpCommand } from './files-cp.ts';
import { filesFindCommand } from './files-find.ts';
import { filesGetCommand } from './files-get.ts';
import { filesGrepCommand } from './files-grep.ts';
import { filesLsCommand } from './files-ls.ts';
import { filesMkdirCommand } from './files-mkdir.ts';
import { filesMvCommand } from './files-mv.ts';
import { filesPutCommand } from './files-put.ts';
import { filesRmCommand } from './files-rm.ts';
import { filesSyncCommand } from './files-sync.ts';
import { filesWatchCommand } from './files-watch.ts';

export function filesCommand(): Command {
  return new Command('files')
    .description('The files of an agent: <agent>:<path>, where the path begins in /workspace.')
    .addCommand(filesLsCommand())
    .addCommand(filesCatCommand())
    .addCommand(filesPutCommand())
    .addCommand(filesGetCommand())
    .addCommand(filesRmCommand())
    .addCommand(filesMvCommand())
    .addCommand(filesCpCommand())
    .addCommand(filesMkdirCommand())
    .addCommand(filesFindCommand())
    .addCommand(filesGrepCommand())
    .addCommand(filesWatchCommand())
    .addCommand(filesSyncCommand());
}
