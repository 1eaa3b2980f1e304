import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { jsonText } from '../../../src/cli/output/json-text.ts';
import { oneLine, printable, revealed } from '../../../src/cli/output/printable.ts';
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

  test('shows what would turn the direction of a text, or be there unseen', () => {
    expect(printable('a\u202Eb\u2066c\u200Bd\uFEFFe\u{E0041}')).toBe('a<U+202E>b<U+2066>c<U+200B>d<U+FEFF>e<U+E0041>');
  });

  test('keeps the joiners that emoji and scripts are written with', () => {
    expect(printable('👩‍💻 می‌خواهم')).toBe('👩‍💻 می‌خواهم');
  });
});

describe('revealed', () => {
  test('leaves nothing out: line feeds, controls and look-alikes of spaces are shown', () => {
    expect(revealed('a\n\tb\r\u001B]0;c\u0007\u00A0d\u200De\uD800')).toBe(
      'a⏎⇥b<U+000D><U+001B>]0;c<U+0007><U+00A0>d<U+200D>e<U+D800>',
    );
  });

  test('its own signs in the text are shown by their code', () => {
    expect(revealed('a⏎b⇥c')).toBe('a<U+23CE>b<U+21E5>c');
  });

  test('many spaces cannot push a part of the text out of sight', () => {
    expect(revealed(`rm -rf /;${' '.repeat(3_000)}ls`)).toBe('rm -rf /;<3000 spaces>ls');
  });

  test('plain text stays as it is, in every script', () => {
    expect(revealed('git commit -m "é 漢 😀"')).toBe('git commit -m "é 漢 😀"');
  });
});

describe('JSON', () => {
  test('holds nothing that a terminal obeys or hides, and is the same to a parser', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.constantFrom('\u009B', '\u007F', '\u202E', '\u2028', '\u{E0041}'),
        (text, bad) => {
          const value = { [`key ${bad}`]: [`${text}${bad}`] };
          for (const indent of [undefined, 2]) {
            const json = jsonText(value, indent);
            expect(json).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
            expect(JSON.parse(json)).toEqual(value);
          }
        },
      ),
    );
  });

  test('names what it escapes as JSON does', () => {
    expect(jsonText({ title: 'a\u202Eb\u{E0041}' })).toBe('{"title":"a\\u202eb\\udb40\\udc41"}');
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
    [-80_000, 'in 1 min'],
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

  test('a whole column is never shortened, and takes no room from the others', () => {
    const whole: Column<Row>[] = [
      { title: 'id', value: () => 'agt-01' },
      { title: 'extra', value: () => 'something', whenNarrow: 'leave-out' },
      { title: 'asks for', value: ({ name }) => name, whole: true },
    ];
    const text = table([{ name: 'x'.repeat(300), count: 1 }], whole, plain, 40);
    expect(text).toBe(`id      extra      asks for\nagt-01  something  ${'x'.repeat(300)}\n`);
  });

  test('a tree is cut at the width, with its branches: columns that may be left out make room for what is wanted', () => {
    const tree: Column<Row>[] = [
      { title: 'id', value: () => 'agt-01' },
      { title: 'state', value: () => 'sleeping', whenNarrow: 'leave-out' },
      { title: 'command', value: ({ name }) => name, branch: () => '  └ ', whenNarrow: 'shorten', wanted: 20 },
    ];
    const lines = (width: number): string[] =>
      table([{ name: 'sh serve.sh and more', count: 1 }], tree, plain, width).split('\n');
    expect(lines(40)).toEqual(['id      state     command', 'agt-01  sleeping    └ sh serve.sh and m…', '']);
    expect(lines(30)).toEqual(['id      command', 'agt-01    └ sh serve.sh and m…', '']);
    expect(lines(20)).toEqual(['id      command', 'agt-01    └ sh serv…', '']);
  });

  test('a value with line feeds or escape sequences stays on its line', () => {
    expect(table([{ name: 'a\u001B[2J\nb', count: 1 }], columns, plain).split('\n')[1]).toBe('a b   agt-01      1');
  });
});
