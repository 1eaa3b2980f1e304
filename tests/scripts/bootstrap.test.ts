import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { repositoryRoot } from '../../scripts/harness-install.ts';

test.each([
  ['there is none', undefined],
  ['there is one that others can read', 0o755],
])('the set-up makes the data directory private before anything is put there, where %s', async (_, mode) => {
  await using undo = new AsyncDisposableStack();
  const clone = await mkdtemp(join(tmpdir(), 'caisson-bootstrap-'));
  undo.defer(() => rm(clone, { recursive: true }));
  await cp(join(repositoryRoot, 'scripts'), join(clone, 'scripts'), { recursive: true });
  const directory = join(clone, '.caisson');
  if (mode !== undefined) {
    await mkdir(directory);
    await chmod(directory, mode);
  }
  // Without a lockfile, and without npm, it ends with the first step.
  const env = { PATH: clone, TMPDIR: clone };
  const said = await new Promise<string>((resolve) => {
    execFile(process.execPath, [join(clone, 'scripts/bootstrap.mjs'), 'setup'], { env }, (_error, _out, err) =>
      resolve(err),
    );
  });
  expect(said).toContain('npm is missing');
  expect((await stat(directory)).mode & 0o777).toBe(0o700);
});
