import { stripVTControlCharacters } from 'node:util';

/** Characters that are not seen, or turn the direction of what is; not the joiners, which emoji and scripts are written with. */
const unseen = /(?![\u200c\u200d])[\p{Cf}\p{Zl}\p{Zp}]/gu;
/** The same and more: whatever is not a character that one sees, or looks like a space and is none; and our own signs. */
const unclear = /(?! )[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}⏎⇥]/gu;
/** More spaces than these could move a part of a text out of sight. */
const manySpaces = / {9,}/g;

/**
 * Text that somebody else wrote, made safe for a terminal: without escape sequences and control characters, which could
 * otherwise move the cursor, rewrite what stands above, or set the clipboard. Line feeds and tabs stay. What would be
 * there unseen, or turn the direction of the text, is shown by its code.
 */
export function printable(text: string): string {
  return (
    stripVTControlCharacters(text)
      // oxlint-disable-next-line no-control-regex -- control characters are what is removed
      .replaceAll(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, '')
      .replaceAll(unseen, code)
  );
}

/** The same, on one line and at most `limit` characters long. */
export function oneLine(text: string, limit = 200): string {
  const line = printable(text).replaceAll(/\s+/g, ' ').trim();
  return line.length > limit ? `${line.slice(0, limit - 1)}…` : line;
}

/**
 * All of a text that a person is to decide about, on one line: nothing is left out, and what could hide a part of it or
 * pass for something else is shown: line feeds as ⏎, tabs as ⇥, many spaces by their number, other such characters by
 * their code.
 */
export function revealed(text: string): string {
  return text
    .replaceAll(unclear, (character) => signs.get(character) ?? code(character))
    .replaceAll(manySpaces, (spaces) => `<${spaces.length} spaces>`);
}

const signs = new Map([
  ['\n', '⏎'],
  ['\t', '⇥'],
]);

/** E.g. `<U+202E>`. */
function code(character: string): string {
  return `<U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}>`;
}
