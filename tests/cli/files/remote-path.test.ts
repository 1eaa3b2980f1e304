import { expect, test } from 'vitest';
import { lastName, pathsOn, sameAgent } from '../../../src/cli/files/remote-path.ts';

test('the second path of cp and mv is on the same agent, or refused', () => {
  expect(sameAgent('demo:a/b', 'demo:c')).toBe('c');
  expect(sameAgent('demo:a/b', 'c')).toBe('c');
  expect(sameAgent('demo:a/b', './x:y')).toBe('./x:y');
  expect(() => sameAgent('demo:a/b', 'other:c')).toThrow('another agent');
});

test('a second path that ends with a slash is a folder to go into', () => {
  expect(sameAgent('demo:a/b', 'c/')).toBe('c/b');
  expect(sameAgent('demo:a/b/', 'demo:')).toBe('b');
});

test('the last name of a path is never one that leads elsewhere', () => {
  expect(['', '.', 'a/..', '..', 'a/b/', '/tmp/../..'].map(lastName)).toEqual([
    'workspace',
    'workspace',
    'workspace',
    '',
    'b',
    '',
  ]);
});

test('paths of an agent may begin with its name or id, as those of files do', () => {
  const agent = { id: 'agt-1', name: 'demo' };
  expect(pathsOn(agent, ['src', 'demo:src', 'agt-1:src', 'demo:', './demo:src', 'other:src'])).toEqual([
    'src',
    'src',
    'src',
    '.',
    './demo:src',
    'other:src',
  ]);
});
