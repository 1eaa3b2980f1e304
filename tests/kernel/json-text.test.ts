import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { fitText, jsonTextBytes, shorten, textPieces } from '../../src/kernel/json-text.ts';

/** Letters, escapes, wide characters, and halves of pairs. */
const texts = fc
  .array(fc.constantFrom('a', '\u0000', '"', 'é', '漢', '🛠', '\ud83d', '\udee0'), { maxLength: 400 })
  .map((parts) => parts.join(''));

test('the pieces of a text are the text, and each is within its bound', () => {
  fc.assert(
    fc.property(texts, fc.integer({ min: 12, max: 200 }), (text, mostBytes) => {
      const pieces = textPieces(text, mostBytes);
      expect(pieces.join('')).toBe(text);
      for (const piece of pieces) expect(jsonTextBytes(piece)).toBeLessThanOrEqual(mostBytes);
      if (text.isWellFormed()) for (const piece of pieces) expect(piece.isWellFormed()).toBe(true);
    }),
  );
});

test('a text that is made to fit is within its bound, and tells how much is missing', () => {
  fc.assert(
    fc.property(texts, fc.integer({ min: 100, max: 500 }), (text, mostBytes) => {
      const fitted = fitText(text, mostBytes);
      expect(jsonTextBytes(fitted)).toBeLessThanOrEqual(mostBytes);
      if (text.isWellFormed()) expect(fitted.isWellFormed()).toBe(true);
      if (fitted === text) return;
      const [, head = '', missing, all, tail = ''] =
        /^(.*)… \[(\d+) of (\d+) characters left out\] …(.*)$/su.exec(fitted) ?? [];
      expect(Number(all)).toBe(text.length);
      expect(text.startsWith(head) && text.endsWith(tail)).toBe(true);
      expect(head.length + tail.length + Number(missing)).toBe(text.length);
    }),
  );
});

test('a shortened text has at most the characters that it may, and tells how many it had', () => {
  fc.assert(
    fc.property(texts, fc.integer({ min: 30, max: 100 }), (text, most) => {
      const short = shorten(text, most);
      expect(short.length).toBeLessThanOrEqual(most);
      if (text.length > most) expect(short).toContain(`[${text.length} characters]`);
      else expect(short).toBe(text);
    }),
  );
});
