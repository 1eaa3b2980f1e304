import { expect, test } from 'vitest';
import { record } from '../../../src/cli/output/table.ts';
import { wrapWords } from '../../../src/cli/output/wrap-words.ts';

test.each([
  ['a line that fits', 20, 'a line that fits'],
  ['one two three four', 12, 'one two\n  three four'],
  ['see `caisson files ls` there', 14, 'see\n  `caisson files ls`\n  there'],
  ['no averyveryverylongword here', 12, 'no\n  averyveryverylongword\n  here'],
  ['\u001B[31mred\u001B[39m and blue', 16, '\u001B[31mred\u001B[39m and blue'],
  ['of itself\nmore lines', 12, 'of itself\n  more lines'],
  ['of itself\nmore lines', undefined, 'of itself\n  more lines'],
  ['', 10, ''],
  ['as long as it wants', undefined, 'as long as it wants'],
])('%j in %j columns, the first two of which are taken', (text, width, wrapped) => {
  expect(wrapWords(text, { width, indent: 2 })).toBe(wrapped);
});

test('a value of a record that is wider than the terminal goes on below itself, not below its name', () => {
  const entries = [
    ['name', 'demo'],
    ['models', 'small, medium, large'],
  ] as const;
  const plain = (_format: unknown, text: string): string => text;
  expect(record(entries, plain, 20)).toBe('name    demo\nmodels  small,\n        medium,\n        large\n');
  expect(record(entries, plain)).toBe('name    demo\nmodels  small, medium, large\n');
});
