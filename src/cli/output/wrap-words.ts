import { stripVTControlCharacters } from 'node:util';
import { displayWidth } from './display-width.ts';

/**
 * Breaks lines that are wider than `width` between words, and indents all but the first. What stands in backticks is one word, for it
 * is there to be copied; a word that is wider than the line stays whole. Without a width no line is broken.
 */
export function wrapWords(text: string, { width, indent }: { width: number | undefined; indent: number }): string {
  const room = (width ?? Number.POSITIVE_INFINITY) - indent;
  return text
    .split('\n')
    .flatMap((line) => (widthOf(line) > room ? broken(line, room) : [line]))
    .join(`\n${' '.repeat(indent)}`);
}

function broken(text: string, room: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.match(/(?:`[^`]*`|[^ ])+/g) ?? []) {
    if (line !== '' && widthOf(`${line} ${word}`) > room) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function widthOf(text: string): number {
  return displayWidth(stripVTControlCharacters(text));
}
