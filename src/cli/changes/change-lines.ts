import type { Change } from '../../client/index.ts';
import { oneLine } from '../output/printable.ts';
import type { Style } from '../output/style.ts';

const marks = {
  added: ['A', 'green'],
  modified: ['M', 'yellow'],
  deleted: ['D', 'red'],
  renamed: ['R', 'cyan'],
} as const;

/** One line for a file that changed: how, where, and by how much. */
export function changeLines(change: Change, style: Style): string {
  const [mark, colour] = marks[change.status];
  const path = change.oldPath === null ? oneLine(change.path) : `${oneLine(change.oldPath)} -> ${oneLine(change.path)}`;
  return `${style(colour, mark)} ${path}  ${amount(change, style)}\n`;
}

function amount({ binary, added, removed, oldSize, size }: Change, style: Style): string {
  if (binary) return style('dim', `binary, ${oldSize ?? 0} -> ${size ?? 0} bytes`);
  return `${style('green', `+${added ?? 0}`)} ${style('red', `-${removed ?? 0}`)}`;
}
