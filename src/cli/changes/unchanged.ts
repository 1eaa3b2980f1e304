import type { ApiOutputs } from '../../client/index.ts';
import { oneLine } from '../output/printable.ts';
import { stderr } from '../output/sink.ts';

/** So that a name that is not there is seen: ` in src, docs`; nothing for the whole workspace. */
export function inPaths(paths: readonly string[]): string {
  return paths.length === 0 ? '' : ` in ${paths.map((path) => oneLine(path)).join(', ')}`;
}

/** Tells of files that may have changed. */
export async function tellLeftOut({
  leftOut,
  leftOutTotal,
}: Pick<ApiOutputs['changes']['status'], 'leftOut' | 'leftOutTotal'>): Promise<void> {
  for (const { path, reason } of leftOut.slice(0, 10)) {
    await stderr.write(`${stderr.style('dim', `(not compared: ${oneLine(path)}, ${reason.replaceAll('_', ' ')})`)}\n`);
  }
  if (leftOutTotal > 10) await stderr.write(`${stderr.style('dim', `(and ${leftOutTotal - 10} more)`)}\n`);
}
