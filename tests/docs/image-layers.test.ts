import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { repositoryRoot } from '../../scripts/harness-install.ts';
import { imageLayers } from '../../scripts/image-layers.ts';

test('the layers of the sandbox image are documented by the names that the script prints', async () => {
  const text = await readFile(join(repositoryRoot, 'docs/sandbox-image.md'), 'utf8');
  const rows = [...text.matchAll(/^\| (.*?) +\| +[\d*.]+ \|$/gm)].map(([, name]) => name);
  expect(rows).toEqual(['Debian', ...imageLayers, '**all**']);
});

test('every step of the Dockerfiles that writes files has a name', async () => {
  const directory = join(repositoryRoot, 'images/sandbox');
  const files = ['Dockerfile', 'guest.Dockerfile'].map((file) => readFile(join(directory, file), 'utf8'));
  const steps = (await Promise.all(files)).flatMap((text) => text.match(/^(?:RUN|COPY|ADD) /gm) ?? []);
  expect(steps).toHaveLength(imageLayers.length);
});
