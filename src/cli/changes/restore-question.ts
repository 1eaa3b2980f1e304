import { posix } from 'node:path';
import type { CaissonClient, ReadChangesOptions } from '../../client/index.ts';
import { oneLine } from '../output/printable.ts';

/** Of more changes it is not told which files go back and which go: each page of them takes a look at the whole workspace. */
const mostCounted = 2_000;
/** Names of each kind. */
const mostNamed = 5;

/**
 * What is asked before a restore: how many files it puts back and how many it removes, with the names of the first. `total`: of
 * the changes. `goal`: whose files, and to when, such as "demo as before run-…".
 */
export async function restoreQuestion(
  client: CaissonClient,
  changes: ReadChangesOptions,
  { total, goal }: { readonly total: number; readonly goal: string },
): Promise<string> {
  if (total > mostCounted) return `Put back or remove ${total} files of ${goal}?`;
  const [back, removed]: [string[], string[]] = [[], []];
  const isAsked = memberOf(changes.paths ?? []);
  for await (const { status, path, oldPath } of client.readChanges(changes)) {
    if (oldPath !== null && isAsked(oldPath)) back.push(oldPath);
    if (isAsked(path)) (status === 'added' || status === 'renamed' ? removed : back).push(path);
  }
  const names = `${named('put back', back)}${named('remove', removed)}`;
  if (removed.length === 0) return `${names}Put back ${count(back)} of ${goal}?`;
  if (back.length === 0) return `${names}Remove ${count(removed)} of ${goal}?`;
  return `${names}Put back ${count(back)} and remove ${count(removed)} of ${goal}?`;
}

/** A renamed file is among the changes also where only one of its names was asked for, and that one is restored. */
function memberOf(paths: readonly string[]): (path: string) => boolean {
  const asked = paths.map((path) => posix.resolve('/workspace', path));
  return (path) => asked.length === 0 || asked.some((one) => `/workspace/${path}/`.startsWith(`${one}/`));
}

function count({ length }: readonly string[]): string {
  return length === 1 ? '1 file' : `${length} files`;
}

function named(what: string, names: readonly string[]): string {
  if (names.length === 0) return '';
  const more = names.length > mostNamed ? ` and ${names.length - mostNamed} more` : '';
  const first = names.slice(0, mostNamed).map((name) => oneLine(name));
  return `${what}: ${first.join(', ')}${more}\n`;
}
