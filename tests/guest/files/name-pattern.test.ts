import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { array, assert, boolean, constantFrom, property } from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { namePattern } from '../../../src/guest/files/name-pattern.ts';
import { ripgrepFolder } from '../../acp/codex-harness.ts';

const names = ['a', 'b', 'ab', 'aab', 'abab', 'B', 'aB', 'a.b', '-', 'a-', ']', 'a]b', 'a,b'];
const paths = [...names, ...names.map((name) => `d/${name}`), ...names.map((name) => `d/a.d/${name}`), 'b.d/a.d/b/ab'];
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'caisson-names-'));
  for (const path of paths) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), '');
  }
});
afterAll(() => rm(folder, { recursive: true }));

function byRipgrep(glob: string, ignoreCase: boolean): readonly string[] | 'refused' {
  const args = ['--no-config', '--hidden', '--no-ignore', '--files', '--null', ignoreCase ? '--iglob' : '--glob', glob];
  const { status, stdout } = spawnSync(join(ripgrepFolder(), 'rg'), args, { cwd: folder, encoding: 'utf8' });
  return status === 2 ? 'refused' : stdout.split('\0').slice(0, -1).sort();
}

function byUs(glob: string, ignoreCase: boolean): readonly string[] | 'refused' {
  try {
    return paths.filter(namePattern(glob, ignoreCase)).sort();
  } catch {
    return 'refused';
  }
}

test('globs find what ripgrep finds by them', () => {
  // Without negated classes, which there match a slash as well.
  const piece = constantFrom(
    'a',
    'b',
    'B',
    '.',
    '-',
    '*',
    '*',
    '?',
    '**/',
    '/**',
    '/',
    'd/',
    '[ab]',
    '[a-z]',
    '[]-]',
    ']',
    '{',
    ',',
    '}',
    '{a,b}',
    '{a*,b}',
    '{',
    '}',
    '\\',
    '\\*',
  );
  assert(
    property(array(piece, { minLength: 1, maxLength: 6 }), boolean(), (pieces, ignoreCase) => {
      const glob = pieces.join('');
      // What ripgrep takes for something else than a name: no glob, a folder, and an empty alternative, which it leaves out.
      // Nor what nobody means: folders in a brace that is a part of a name.
      if (!/[*?[{]/.test(glob) || glob.endsWith('/') || /[{,][,}]|\{[^}]*\*\*/.test(glob)) return;
      expect(byUs(glob, ignoreCase)).toEqual(byRipgrep(glob, ignoreCase));
    }),
    { numRuns: 300 },
  );
});

test('alternatives may be of any folder', () => {
  for (const glob of ['{**/b,d/a}', '{d,b.d}/**/{ab,b}', '{d/**,a}'])
    expect(byUs(glob, false)).toEqual(byRipgrep(glob, false));
});

test('a ? is one character, also where ripgrep takes it for one byte of several', () => {
  const isWanted = namePattern('?[!a]', false);
  expect(['éü', '😀é', 'é\udcff', 'aa', 'é'].map(isWanted)).toEqual([true, true, true, false, false]);
});

test('a part of a name is no glob, and with a slash it is a part of the path', () => {
  expect(byUs(']', false)).toEqual([']', 'a]b', 'd/]', 'd/a.d/]', 'd/a.d/a]b', 'd/a]b'].sort());
  expect(byUs('AB', true)).toEqual(byRipgrep('*ab*', true));
  expect(byUs('D/b', true)).toEqual(['b.d/a.d/b/ab', 'd/a.d/B', 'd/a.d/b', 'd/B', 'd/b'].sort());
});

test('a glob with many stars takes no longer than its length says: a regular expression would take for ever', () => {
  const isWanted = namePattern(`${'*a'.repeat(100)}*b`, false);
  expect(isWanted('a'.repeat(255))).toBe(false);
  expect(isWanted(`${'a'.repeat(254)}b`)).toBe(true);
  expect(() => namePattern('{a,b}'.repeat(40), false)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }));
});
