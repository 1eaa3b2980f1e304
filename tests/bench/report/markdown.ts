import type { Row } from './row.ts';

const verdicts = new Map<Row['met'], string>([
  [true, 'yes'],
  [false, '**no**'],
  [null, ''],
]);

/** The rows as a Markdown table, in columns that read well in a terminal too. */
export function markdownTable(rows: readonly Row[]): string {
  const cells = [
    ['measured', 'Caisson', 'floor or peer', 'against it', 'target', 'met'],
    ...rows.map((row) => [row.what, row.ours, row.floor, row.comparison, row.target, verdicts.get(row.met) ?? '']),
  ];
  const widths = [0, 1, 2, 3, 4, 5].map((column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  const [head = '', ...body] = cells.map(
    (line) => `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`,
  );
  return [head, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...body].join('\n');
}
