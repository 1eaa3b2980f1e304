import type { FileSearchItem } from '../../client/index.ts';
import { exitCodes } from '../exit-codes.ts';
import { Exit } from '../failure.ts';
import { stderr, stdout, writeJsonLine } from '../output/sink.ts';

/** One match a line, as `grep -n` has it. Exits with 1 where there is none, as grep does. */
export async function printMatches(
  items: AsyncIterable<FileSearchItem>,
  { json }: { readonly json: boolean },
): Promise<void> {
  let found = 0;
  for await (const item of items) {
    if (item.type === 'end') {
      if (item.isCut)
        await stderr.write(`There may be more than these ${found}: raise --limit, or search in a smaller folder.\n`);
      continue;
    }
    found += item.matches.length;
    for (const match of item.matches) {
      if (json) await writeJsonLine(match);
      else
        await stdout.writeForeign(
          match.line === null ? `${match.path}\n` : `${match.path}:${match.line}:${match.text}\n`,
        );
    }
  }
  if (found === 0) throw new Exit(exitCodes.failed);
}
