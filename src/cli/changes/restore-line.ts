import { commandName } from '../command-name.ts';
import { commandText } from '../output/command-text.ts';

export interface RestoreLine {
  /** As the caller named it. */
  readonly agent: string;
  readonly target: { readonly run: string } | { readonly checkpoint: string };
  /** Empty for the whole workspace. */
  readonly paths: readonly string[];
  readonly force: boolean;
}

/** The command line that restores this and nothing else, without a question. */
export function restoreLine({ agent, target, paths, force }: RestoreLine): string {
  const to = 'run' in target ? ['--run', target.run] : ['--checkpoint', target.checkpoint];
  const ends = paths.some((path) => path.startsWith('-')) ? ['--'] : [];
  const words = ['restore', agent, ...to, '--yes', ...(force ? ['--force'] : []), ...ends, ...paths];
  return `${commandName()} ${commandText(words)}`;
}
