import { displayWidth, fitWidth } from './display-width.ts';
import { oneLine } from './printable.ts';
import type { Style } from './style.ts';
import { wrapWords } from './wrap-words.ts';

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  readonly style?: (row: Row) => Parameters<Style>[0] | undefined;
  readonly align?: 'right';
  /** What stands before the value as it is, such as the branches of a tree: safe for a terminal. */
  readonly branch?: (row: Row) => string;
  /**
   * What happens when the table is wider than the terminal: the column is shortened, or left out. Others stay whole, ids
   * above all: they are there to be copied.
   */
  readonly whenNarrow?: 'shorten' | 'leave-out';
  /** Of a column that is shortened: for this width others are left out first. Default: the narrowest that any gets. */
  readonly wanted?: number;
  /** The last column only: its values, which must be safe for a terminal, stand as they are, beyond the edge if need be. */
  readonly whole?: true;
}

interface Laid<Row> {
  readonly column: Column<Row>;
  readonly cells: readonly string[];
  width: number;
}

const gap = '  ';
const narrowest = 12;

/**
 * Rows under dim titles, aligned by what a terminal shows. A column in which nothing stands is left out. Without `width`
 * nothing is shortened.
 */
export function table<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  style: Style,
  width?: number,
): string {
  const laid = fitted(columns.map((column) => lay(column, rows)).filter(hasContent), width ?? Number.POSITIVE_INFINITY);
  const line = (textOf: (each: Laid<Row>) => string, paint: (text: string, each: Laid<Row>) => string): string =>
    laid
      .map((each) => padded(shown(textOf(each), each), each, paint))
      .join(gap)
      .trimEnd();
  const head = line(
    ({ column }) => column.title,
    (text) => style('dim', text),
  );
  const body = rows.map((row, r) =>
    line(
      ({ cells }) => cells[r] ?? '',
      (text, { column }) => {
        const format = column.style?.(row);
        return format === undefined ? text : style(format, text);
      },
    ),
  );
  return [head, ...body].map((text) => `${text}\n`).join('');
}

/** Names and values, one a line. With `width` a value that is wider goes on below itself. */
export function record(
  entries: readonly (readonly [name: string, value: string])[],
  style: Style,
  width?: number,
): string {
  const longest = Math.max(...entries.map(([name]) => name.length));
  const wrapped = (value: string): string => wrapWords(value, { width, indent: longest + gap.length });
  return entries.map(([name, value]) => `${style('dim', name.padEnd(longest))}${gap}${wrapped(value)}\n`).join('');
}

function lay<Row>(column: Column<Row>, rows: readonly Row[]): Laid<Row> {
  if (column.whole === true) return { column, cells: rows.map(column.value), width: displayWidth(column.title) };
  const cells = rows.map((row) => `${column.branch?.(row) ?? ''}${oneLine(column.value(row))}`);
  return { column, cells, width: Math.max(displayWidth(column.title), ...cells.map(displayWidth)) };
}

function hasContent<Row>({ cells }: Laid<Row>): boolean {
  return cells.some((cell) => cell !== '');
}

/** Shortens what may be shortened; where that is not enough, leaves out what may be left out, the last first. */
function fitted<Row>(laid: Laid<Row>[], width: number): Laid<Row>[] {
  const wanted = total(laid.map((each) => leastWidth(each, each.column.wanted)));
  const lastOptional = laid.findLastIndex(({ column }) => column.whenNarrow === 'leave-out');
  if (wanted > width && lastOptional !== -1) return fitted(laid.toSpliced(lastOptional, 1), width);
  let over = total(laid.map((each) => each.width)) - width;
  for (const each of laid) {
    const less = Math.min(Math.max(0, over), each.width - leastWidth(each));
    each.width -= less;
    over -= less;
  }
  return laid;
}

function leastWidth<Row>({ column, width }: Laid<Row>, least = narrowest): number {
  return column.whenNarrow === 'shorten' ? Math.min(width, least) : width;
}

function total(widths: readonly number[]): number {
  return widths.reduce((sum, each) => sum + each, 0) + gap.length * (widths.length - 1);
}

function shown<Row>(text: string, { column, width }: Laid<Row>): string {
  return column.whole === true ? text : fitWidth(text, width);
}

function padded<Row>(text: string, each: Laid<Row>, paint: (text: string, each: Laid<Row>) => string): string {
  const space = ' '.repeat(Math.max(0, each.width - displayWidth(text)));
  return each.column.align === 'right' ? `${space}${paint(text, each)}` : `${paint(text, each)}${space}`;
}
