import { printable } from '../output/printable.ts';
import type { Style } from '../output/style.ts';

/** A unified diff for a terminal: safe to show, and coloured as people know it from git. */
export function colouredPatch(patch: string, style: Style): string {
  let isHeader = true;
  return patch
    .split('\n')
    .map((line) => {
      if (line.startsWith('diff --git ')) isHeader = true;
      else if (line.startsWith('@@ ')) isHeader = false;
      const text = printable(line);
      if (isHeader) return style('bold', text);
      if (line.startsWith('@@ ')) return style('cyan', text);
      if (line.startsWith('+')) return style('green', text);
      if (line.startsWith('-')) return style('red', text);
      return text;
    })
    .join('\n');
}
