// Writes the documents that are made from the code: the tables of docs/api.md and docs/access.md, and
// docs/configuration.md. Tests compare them.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeConfig } from '../src/controlplane/config.ts';
import { accessGuide } from './docs/access-guide.ts';
import { apiGuide } from './docs/api-guide.ts';
import { repositoryRoot } from './harness-install.ts';

const apiFile = join(repositoryRoot, 'docs/api.md');
await writeFile(apiFile, await apiGuide(await readFile(apiFile, 'utf8')));
const accessFile = join(repositoryRoot, 'docs/access.md');
await writeFile(accessFile, accessGuide(await readFile(accessFile, 'utf8')));
await writeFile(join(repositoryRoot, 'docs/configuration.md'), describeConfig());
