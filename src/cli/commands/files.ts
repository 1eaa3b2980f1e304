import { commandGroup } from '../command-group.ts';

export const filesCommand = commandGroup(
  'files',
  'The files of an agent: <agent>:<path>, where the path begins in /workspace.',
  {
    ls: async () => (await import('./files-ls.ts')).filesLsCommand(),
    cat: async () => (await import('./files-cat.ts')).filesCatCommand(),
    put: async () => (await import('./files-put.ts')).filesPutCommand(),
    get: async () => (await import('./files-get.ts')).filesGetCommand(),
    rm: async () => (await import('./files-rm.ts')).filesRmCommand(),
    mv: async () => (await import('./files-mv.ts')).filesMvCommand(),
    cp: async () => (await import('./files-cp.ts')).filesCpCommand(),
    mkdir: async () => (await import('./files-mkdir.ts')).filesMkdirCommand(),
    find: async () => (await import('./files-find.ts')).filesFindCommand(),
    grep: async () => (await import('./files-grep.ts')).filesGrepCommand(),
    watch: async () => (await import('./files-watch.ts')).filesWatchCommand(),
    sync: async () => (await import('./files-sync.ts')).filesSyncCommand(),
  },
);
