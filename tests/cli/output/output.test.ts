import { describe, expect, test } from 'vitest';
import { oneLine, printable } from '../../../src/cli/output/printable.ts';
import { duration, relativeTime } from '../../../src/cli/output/relative-time.ts';
import { plain } from '../../../src/cli/output/style.ts';
import { table, type Column } from '../../../src/cli/output/table.ts';

describe('printable', () => {
  test('takes away what could move the cursor, recolour or reach the clipboard', () => {
    expect(printable('a\u001B[31mb\u001B[0m\u001B]52;c;aGk=\u0007c\rd\u0008e\u0085f')).toBe('abcdef');
  });

  test('keeps text, line feeds and tabs', () => {
    expect(printable('é漢\t😀\nx')).toBe('é漢\t😀\nx');
  });

  test('oneLine shortens and folds', () => {
    expect(oneLine('  a\n\tb  ')).toBe('a b');
    expect(oneLine('x'.repeat(20), 5)).toBe('xxxx…');
  });
});

describe('times', () => {
  const now = Date.UTC(2026, 0, 31, 12);
  test.for([
    [400, 'now'],
    [59_999, '59 s ago'],
    [60_000, '1 min ago'],
    [3_600_000 * 5, '5 h ago'],
    [86_400_000 * 3, '3 d ago'],
    [86_400_000 * 40, '2025-12-22'],
    [-90_000, 'in 1 min'],
  ] as const)('%i ms before now is "%s"', ([ago, text]) => {
    expect(relativeTime(now - ago, now)).toBe(text);
  });

  test('durations below a second are in milliseconds', () => {
    expect([duration(12.4), duration(1_999), duration(61_000)]).toEqual(['12 ms', '1 s', '1 min']);
  });
});

describe('table', () => {
  interface Row {
    readonly name: string;
    readonly count: number;
  }
  const columns: Column<Row>[] = [
    { title: 'name', value: ({ name }) => name, whenNarrow: 'shorten' },
    { title: 'id', value: () => 'agt-01' },
    { title: 'count', value: ({ count }) => String(count), align: 'right' },
  ];

  test('aligns columns by what a terminal shows, wide characters and emoji too', () => {
    const rows = [
      { name: 'plain', count: 5 },
      { name: '漢字', count: 10_000 },
      { name: '👩‍💻é', count: 7 },
    ];
    expect(table(rows, columns, plain)).toBe(
      ['name   id      count', 'plain  agt-01      5', '漢字   agt-01  10000', '👩‍💻é    agt-01      7', ''].join('\n'),
    );
  });

  test('shortens flexible columns only, to the width of the terminal', () => {
    const text = table([{ name: 'a very long name indeed', count: 1 }], columns, plain, 30);
    expect(text).toBe('name             id      count\na very long na…  agt-01      1\n');
  });

  test('leaves out what may be left out, and what is empty', () => {
    const more: Column<Row>[] = [
      ...columns,
      { title: 'always empty', value: () => '' },
      { title: 'extra', value: () => 'something long', whenNarrow: 'leave-out' },
    ];
    expect(table([{ name: 'a', count: 1 }], more, plain, 30)).toBe('name  id      count\na     agt-01      1\n');
    expect(table([{ name: 'a', count: 1 }], more, plain)).toContain('something long');
  });

  test('a value with line feeds or escape sequences stays on its line', () => {
    expect(table([{ name: 'a\u001B[2J\nb', count: 1 }], columns, plain).split('\n')[1]).toBe('a b   agt-01      1');
  });
});
