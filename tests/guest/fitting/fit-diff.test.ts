import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { fitDiff } from '../../../src/guest/fitting/fit-diff.ts';
import { jsonTextBytes } from '../../../src/kernel/json-text.ts';

const line = (length: number, index: number): string => `${String(index).padStart(6, '0')} ${'x'.repeat(length)}\n`;
const linesOf = (count: number, from: number): string =>
  Array.from({ length: count }, (_, index) => line(60, from + index)).join('');
const markPattern = /… \[(\d+) characters that are the same left out\] …\n/;

test('the diff of a large file with a small change keeps the change whole, and tells what is left out', () => {
  const part = fc.integer({ min: 0, max: 3_000 });
  fc.assert(
    fc.property(
      part,
      part,
      fc.integer({ min: 0, max: 50 }),
      fc.integer({ min: 0, max: 50 }),
      (before, after, old, now) => {
        const [head, tail] = [linesOf(before, 0), linesOf(after, 500_000)];
        const oldText = head + linesOf(old, 600_000) + tail;
        const newText = head + linesOf(now, 700_000) + tail;
        const fitted = fitDiff({ type: 'diff', path: '/w/a', oldText, newText }, 24 * 1024);
        expect(jsonTextBytes(fitted.oldText ?? '') + jsonTextBytes(fitted.newText)).toBeLessThanOrEqual(24 * 1024);
        for (const [text, whole] of [
          [fitted.oldText ?? '', oldText],
          [fitted.newText, newText],
        ] as const) {
          expect(restored(text, whole)).toBe(whole);
        }
      },
    ),
    { numRuns: 40 },
  );
});

/** The text with what its marks leave out. */
function restored(text: string, whole: string): string {
  const atStart = new RegExp(`^${markPattern.source}`).exec(text);
  const rest = atStart === null ? text : whole.slice(0, Number(atStart[1])) + text.slice(atStart[0].length);
  const atEnd = new RegExp(`${markPattern.source}$`).exec(rest);
  return atEnd === null ? rest : rest.slice(0, atEnd.index) + whole.slice(-Number(atEnd[1]));
}

test('a diff whose change itself is large is shortened on both sides, with marks', () => {
  const [oldText, newText] = [linesOf(20_000, 0), linesOf(20_000, 50_000)];
  const fitted = fitDiff({ type: 'diff', path: '/w/a', oldText, newText }, 100 * 1024);
  expect(jsonTextBytes(fitted.oldText ?? '') + jsonTextBytes(fitted.newText)).toBeLessThanOrEqual(100 * 1024);
  expect(fitted.oldText).toContain(`of ${oldText.length} characters left out`);
  expect(fitted.newText).toContain(`of ${newText.length} characters left out`);
});

test('a new file, and one that is emptied, are shortened on the side that they have', () => {
  const text = linesOf(20_000, 0);
  const added = fitDiff({ type: 'diff', path: '/w/a', oldText: null, newText: text }, 50 * 1024);
  expect([added.oldText, jsonTextBytes(added.newText) <= 50 * 1024]).toEqual([null, true]);
  const emptied = fitDiff({ type: 'diff', path: '/w/a', oldText: text, newText: '' }, 50 * 1024);
  expect([emptied.newText, emptied.oldText?.length]).toEqual(['', expect.toSatisfy((size) => Number(size) > 40_000)]);
});
