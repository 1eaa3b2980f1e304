import { oneLine } from './printable.ts';
import type { Style } from './style.ts';

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  readonly style?: (row: Row) => Parameters<Style>[0] | undefined;
  readonly align?: 'right';
  /** Is shortened when the table is wider than the terminal. Ids are not: they are there to be copied. */
  readonly flexible?: true;
}

const gap = '  ';
const narrowest = 12;

/** Rows under dim titles, aligned by what a terminal shows. Without `width` nothing is shortened. */
export function table<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  style: Style,
  width?: number,
): string {
  const cells = rows.map((row) => columns.map((column) => oneLine(column.value(row))));
  const widths = columns.map((column, i) =>
    Math.max(displayWidth(column.title), ...cells.map((line) => displayWidth(line[i] ?? ''))),
  );
  if (width !== undefined) shrink(widths, columns, width);
  const line = (texts: readonly string[], paint: (text: string, i: number) => string): string =>
    texts
      .map((text, i) => {
        const space = ' '.repeat(Math.max(0, (widths[i] ?? 0) - displayWidth(fit(text, widths[i] ?? 0))));
        const painted = paint(fit(text, widths[i] ?? 0), i);
        return columns[i]?.align === 'right' ? `${space}${painted}` : `${painted}${space}`;
      })
      .join(gap)
      .trimEnd();
  const head = line(
    columns.map(({ title }) => title),
    (text) => style('dim', text),
  );
  const body = rows.map((row, r) =>
    line(cells[r] ?? [], (text, i) => {
      const format = columns[i]?.style?.(row);
      return format === undefined ? text : style(format, text);
    }),
  );
  return [head, ...body].map((text) => `${text}\n`).join('');
}

/** Names and values, one a line. */
export function record(entries: readonly (readonly [name: string, value: string])[], style: Style): string {
  const width = Math.max(...entries.map(([name]) => name.length));
  return entries.map(([name, value]) => `${style('dim', name.padEnd(width))}${gap}${value}\n`).join('');
}

function shrink<Row>(widths: number[], columns: readonly Column<Row>[], width: number): void {
  const total = widths.reduce((sum, each) => sum + each, 0) + gap.length * (widths.length - 1);
  let over = total - width;
  for (const [i, column] of columns.entries()) {
    const own = widths[i] ?? 0;
    if (over <= 0 || column.flexible !== true || own <= narrowest) continue;
    widths[i] = Math.max(narrowest, own - over);
    over -= own - Math.max(narrowest, own - over);
  }
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
// East Asian wide and full-width ranges, and emoji: these take two columns.
const wide =
  /^(?:[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation})/u;

function displayWidth(text: string): number {
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += wide.test(segment) ? 2 : 1;
  return width;
}

function fit(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let kept = '';
  let used = 0;
  for (const { segment } of graphemes.segment(text)) {
    used += wide.test(segment) ? 2 : 1;
    if (used > width - 1) break;
    kept += segment;
  }
  return `${kept}…`;
}
