import type { ContentBlock } from '../wire/contract/harness-event.ts';

/** What a conversation is called that was opened without a title, until something is said in it. */
export const defaultTitle = 'Conversation';

/** In code points, the ellipsis among them. */
const longestTitle = 80;
/** As in names that people give: nothing that could make it look like another text. */
const hidden = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** The first line of a message that says something, at most 80 characters; undefined when none does. */
export function titleFrom(content: readonly ContentBlock[]): string | undefined {
  for (const block of content) {
    const lines = block.type === 'text' ? block.text.toWellFormed().split(/[\r\n\u2028\u2029]/) : [];
    const title = lines.map(shown).find((line) => line !== '');
    if (title !== undefined) return title;
  }
  return undefined;
}

function shown(line: string): string {
  const characters = Array.from(line.replaceAll(hidden, ' ').replaceAll(/\s+/g, ' ').trim());
  if (characters.length <= longestTitle) return characters.join('');
  return `${characters
    .slice(0, longestTitle - 1)
    .join('')
    .trimEnd()}…`;
}
