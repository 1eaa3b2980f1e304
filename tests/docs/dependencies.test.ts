import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { debianPackages } from '../../scripts/debian-base.ts';
import { repositoryRoot } from '../../scripts/harness-install.ts';

const versions = z.record(z.string(), z.string()).default({});
const manifestSchema = z.object({
  dependencies: versions,
  devDependencies: versions,
  optionalDependencies: versions,
});

async function manifest(folder: string): Promise<z.infer<typeof manifestSchema>> {
  return manifestSchema.parse(JSON.parse(await readFile(join(repositoryRoot, folder, 'package.json'), 'utf8')));
}

/** The rows of each table of the document, in order: the name in their first cell, and the second cell. */
async function documentedTables(): Promise<Record<string, string>[]> {
  const document = await readFile(join(repositoryRoot, 'docs/dependencies.md'), 'utf8');
  return document.split(/\n(?!\|)/).flatMap((block) => {
    const rows = [...block.matchAll(/^\| `([^`]+)` *\| *([^|]*?) *\|/gm)];
    return rows.length === 0 ? [] : [Object.fromEntries(rows.map(([, name = '', second = '']) => [name, second]))];
  });
}

test('the tables of docs/dependencies.md name every package at its version, and no other', async () => {
  const [root, runtime, harness, claude] = await Promise.all(
    ['.', 'runtime', 'images/sandbox', 'images/sandbox/claude'].map(manifest),
  );
  const [needed, building, node, inSandbox, withClaude] = await documentedTables();
  expect(needed).toEqual(root?.dependencies);
  expect(building).toEqual(root?.devDependencies);
  expect(node).toEqual(runtime?.optionalDependencies);
  expect(inSandbox).toEqual(harness?.dependencies);
  expect(withClaude).toEqual(claude?.dependencies);
});

test('it names every Debian package of the image, and no other', async () => {
  const debian = (await documentedTables()).at(-1);
  expect(Object.keys(debian ?? {})).toEqual(debianPackages);
});

test('every version is exact', async () => {
  for (const folder of ['.', 'runtime', 'images/sandbox', 'images/sandbox/claude']) {
    const { dependencies, devDependencies, optionalDependencies } = await manifest(folder);
    for (const version of Object.values({ ...dependencies, ...devDependencies, ...optionalDependencies })) {
      expect(version).toMatch(/^\d+\.\d+\.\d+$/);
    }
  }
});
