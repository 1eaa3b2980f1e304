import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { accessGuide } from '../../scripts/docs/access-guide.ts';
import { apiGuide } from '../../scripts/docs/api-guide.ts';
import { procedureComments } from '../../scripts/docs/procedures.ts';
import { repositoryRoot } from '../../scripts/harness-install.ts';
import { procedureTypes } from '../controlplane/procedure-types.ts';

test('the tables of docs/api.md are those of the code (npm run docs writes them)', async () => {
  const guide = await readFile(join(repositoryRoot, 'docs/api.md'), 'utf8');
  expect(await apiGuide(guide)).toBe(guide);
});

test('the tables of docs/access.md are those of the code (npm run docs writes them)', async () => {
  const guide = await readFile(join(repositoryRoot, 'docs/access.md'), 'utf8');
  expect(accessGuide(guide)).toBe(guide);
});

test('every procedure says in a comment what it does', async () => {
  expect([...(await procedureComments()).keys()].toSorted()).toEqual([...procedureTypes.keys()].toSorted());
});
