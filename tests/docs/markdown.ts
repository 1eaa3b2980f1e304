import { readFile } from 'node:fs/promises';

/** The fenced blocks of a Markdown file that are in `language`, without their fences. */
export async function codeBlocks(file: string, language: string): Promise<string[]> {
  const text = await readFile(file, 'utf8');
  const blocks = text.matchAll(/^```(\w*)\n(.*?)^```$/gms);
  return [...blocks].filter(([, of]) => of === language).map(([, , code = '']) => code);
}

/** Every target of a link or image of a Markdown file that is not a web address, without its anchor. */
export async function localLinks(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8');
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target.split('#', 1)[0] ?? '');
  return targets.filter((target) => target !== '' && !/^[a-z]+:/.test(target));
}

/** What stands between backticks on a line, outside of fenced blocks. */
export async function inlineCode(file: string): Promise<string[]> {
  const text = (await readFile(file, 'utf8')).replaceAll(/^```.*?^```$/gms, '');
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
}
