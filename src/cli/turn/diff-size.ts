/** Lines that a change takes away and adds: what is left when the equal beginning and end are set aside. */
export function diffSize(
  oldText: string | null,
  newText: string,
): { readonly added: number; readonly removed: number } {
  const before = linesOf(oldText ?? '');
  const after = linesOf(newText);
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  let end = 0;
  const rest = Math.min(before.length, after.length) - start;
  while (end < rest && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  return { added: after.length - start - end, removed: before.length - start - end };
}

function linesOf(text: string): string[] {
  if (text === '') return [];
  return text.replace(/\n$/, '').split('\n');
}
