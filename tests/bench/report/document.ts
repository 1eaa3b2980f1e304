import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryRoot } from '../../../scripts/harness-install.ts';

const file = join(repositoryRoot, 'docs/benchmarks.md');
const begin = '<!-- run: begin (written by `npm run bench -- --write`) -->';
const end = '<!-- run: end -->';

/** Puts a run into docs/benchmarks.md, in the place of the one before. Returns where it is. */
export async function writeDocument(run: string): Promise<string> {
  const text = await readFile(file, 'utf8');
  const [start, stop] = [text.indexOf(begin), text.indexOf(end)];
  if (start < 0 || stop < start) throw new Error(`${file} has no place for a run: ${begin} … ${end}`);
  await writeFile(file, `${text.slice(0, start)}${begin}\n\n${run}\n\n${text.slice(stop)}`);
  return 'docs/benchmarks.md';
}
