import { stripVTControlCharacters } from 'node:util';

/**
 * Text that somebody else wrote, made safe for a terminal: without escape sequences and control characters, which could
 * otherwise move the cursor, rewrite what stands above, or set the clipboard. Line feeds and tabs stay.
 */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is removed
  return stripVTControlCharacters(text).replaceAll(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, '');
}

/** The same, on one line and at most `limit` characters long. */
export function oneLine(text: string, limit = 200): string {
  const line = printable(text).replaceAll(/\s+/g, ' ').trim();
  return line.length > limit ? `${line.slice(0, limit - 1)}…` : line;
}
