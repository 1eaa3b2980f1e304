import { revealed } from './printable.ts';

/** What is longer than this, in characters, cannot be shown to a person whole: it is read in another way. */
export const longestShown = 4_000;
/** How much of that is shown all the same. */
const shownOfLonger = 500;

/** What a permission is asked for: a label, and the command where there is one and the label is another. Never cut. */
export function subjectsOf({ title, input }: { readonly title: string; readonly input?: unknown }): readonly string[] {
  const command = commandOf(input);
  return command === undefined || command === title ? [title] : [title, command];
}

/** A text that is to be approved: whole, with all that it holds to be seen. One that is too long ends with its length. */
export function shownForApproval(text: string): string {
  if (text.length <= longestShown) return revealed(text);
  return `${revealed(text.slice(0, shownOfLonger))}… (${text.length} characters: \`permissions list --json\` shows them)`;
}

function commandOf(input: unknown): string | undefined {
  if (typeof input !== 'object' || input === null || !('command' in input)) return undefined;
  const { command } = input;
  if (Array.isArray(command)) return command.map(String).join(' ');
  return typeof command === 'string' ? command : undefined;
}
