import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { repositoryRoot } from '../../scripts/harness-install.ts';

const page = await readFile(join(repositoryRoot, 'docs/security.md'), 'utf8');
const [, promises = ''] = /^## What is promised$(.*?)^## /ms.exec(page) ?? [];
const rows = [...promises.matchAll(/^\| (?!promise |---)(.+?) \| (.+) \|$/gm)].map(
  ([, promise = '', shownBy = '']) => [promise, shownBy] as const,
);

/** The tests that a cell names: each file, and the names behind it, in italics and with those of their groups before ›. */
function testsOf(shownBy: string): { readonly file: string; readonly name: string }[] {
  return shownBy.split('<br>').flatMap((part) => {
    const [, file = part, names = '__'] = /^`(tests\/[\w./-]+\.ts)`: (_.+_)$/.exec(part) ?? [];
    return names
      .slice(1, -1)
      .split('_, _')
      .map((name) => ({ file, name }));
  });
}

/** Whether a source has a test or group of that name. That of a `.each` is its template. */
function has(source: string, kind: 'test' | 'describe', name: string): boolean {
  const literal = `(['"\`])${name.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)}\\1,`;
  const call = String.raw`^\s*(?:${kind}\(|${kind}\.each(?:<[^\n]*>)?\(.*\)\(|[\])}]+(?: as const)?\)\()\s*`;
  return new RegExp(call + literal, 'm').test(source);
}

test('docs/security.md promises something', () => {
  expect(rows.length).toBeGreaterThan(40);
});

describe.each(rows)('%s', (_promise, shownBy) => {
  test.each(testsOf(shownBy))('$file has: $name', async ({ file, name }) => {
    const path = join(repositoryRoot, file);
    expect(existsSync(path)).toBe(true);
    const source = await readFile(path, 'utf8');
    const names = name.split(' › ');
    for (const [at, each] of names.entries()) {
      expect(has(source, at === names.length - 1 ? 'test' : 'describe', each), each).toBe(true);
    }
  });
});

test('a name that is not there is found', () => {
  const source =
    "describe('a group', () => {\n  test('does it', () => {});\n  test.each([1])('of %i', () => {});\n});\n";
  expect(has(source, 'test', 'does it')).toBe(true);
  expect(has(source, 'test', 'of %i')).toBe(true);
  expect(has(source, 'describe', 'a group')).toBe(true);
  expect(has(source, 'test', 'a group')).toBe(false);
  expect(has(source, 'test', 'does i')).toBe(false);
});
