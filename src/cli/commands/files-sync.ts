import { Command } from 'commander';
import { oneMore } from '../arguments.ts';
import { remotePath } from '../files/remote-path.ts';
import { keepInStep } from '../files/keep-in-step.ts';

export function filesSyncCommand(): Command {
  return new Command('sync')
    .description(
      'Bring a folder of the agent in step with one of this machine, in this direction only: files that are not there, or of another ' +
        'size, time or executable bit, go up, also over what was changed there. Nothing is removed there, unless --delete says so. Links are passed over.',
    )
    .argument('<local>', 'folder of this machine')
    .argument('<agent:path>', 'folder of the agent')
    .option('--delete', 'remove there what is not here')
    .option('--watch', 'go on with what changes, until you stop it')
    .option(
      '--exclude <name>',
      'a name that is passed over; may be given several times (default: .git, node_modules)',
      oneMore,
    )
    .action(sync);
}

interface Options {
  readonly delete?: boolean;
  readonly watch?: boolean;
  readonly exclude?: readonly string[];
}

async function sync(local: string, target: string, options: Options): Promise<void> {
  await keepInStep(local, await remotePath(target), {
    mayDelete: options.delete ?? false,
    watch: options.watch ?? false,
    exclude: options.exclude ?? ['.git', 'node_modules'],
  });
}
