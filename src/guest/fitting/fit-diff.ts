import { fitText, jsonTextBytes } from '../../kernel/json-text.ts';
import type { ToolContent } from '../../wire/contract/harness-event.ts';

type Diff = Extract<ToolContent, { type: 'diff' }>;

/** What is shown of the equal text before and after a change, in UTF-16 code units. */
const context = 2_000;

/**
 * The diff, or one whose texts take at most `mostBytes` of JSON together: equal text before and after the change gives
 * way to a mark first, then each text is shortened.
 */
export function fitDiff(diff: Diff, mostBytes: number): Diff {
  if (bytesOf(diff) <= mostBytes) return diff;
  const focused = diff.oldText === null ? diff : { ...diff, ...focus(diff.oldText, diff.newText) };
  if (bytesOf(focused) <= mostBytes) return focused;
  const { oldText, newText } = focused;
  if (oldText === null) return { ...focused, newText: fitText(newText, mostBytes) };
  const half = Math.floor(mostBytes / 2);
  const shortOld = fitText(oldText, Math.max(half, mostBytes - jsonTextBytes(newText)));
  return { ...focused, oldText: shortOld, newText: fitText(newText, mostBytes - jsonTextBytes(shortOld)) };
}

function bytesOf({ oldText, newText }: Diff): number {
  return (oldText === null ? 0 : jsonTextBytes(oldText)) + jsonTextBytes(newText);
}

/** Both texts with the same marks in place of what is equal in them, in whole lines. */
function focus(oldText: string, newText: string): { oldText: string; newText: string } {
  const shorter = Math.min(oldText.length, newText.length);
  let start = 0;
  while (start < shorter && oldText.charCodeAt(start) === newText.charCodeAt(start)) start++;
  let end = 0;
  while (
    end < shorter - start &&
    oldText.charCodeAt(oldText.length - 1 - end) === newText.charCodeAt(newText.length - 1 - end)
  ) {
    end++;
  }
  const head = start <= context ? 0 : oldText.lastIndexOf('\n', start - context - 1) + 1;
  const afterLine = oldText.indexOf('\n', oldText.length - end + context);
  const tail = afterLine < 0 ? 0 : oldText.length - afterLine - 1;
  const cut = (text: string): string =>
    `${mark(head)}${text.slice(head, text.length - tail)}${tail === 0 ? '' : mark(tail)}`;
  return { oldText: cut(oldText), newText: cut(newText) };
}

function mark(characters: number): string {
  return characters === 0 ? '' : `… [${characters} characters that are the same left out] …\n`;
}
