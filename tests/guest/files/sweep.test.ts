import { mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Confinement } from '../../../src/guest/files/confinement.ts';
import { sweep } from '../../../src/guest/files/sweep.ts';
import { silentLogger } from '../../../src/kernel/logger.ts';
import { isTemporaryName, temporaryName } from '../../../src/kernel/temporary-name.ts';
import { until } from '../../until.ts';
import { runGuest } from '../running-guest.ts';

const newName = (): string => temporaryName().toString();

async function leftovers(folder: string): Promise<string[]> {
  return (await readdir(folder, { recursive: true })).filter((path) =>
    path.split('/').some((name) => isTemporaryName(Buffer.from(name))),
  );
}

test('a guest takes away what one that was killed left unfinished in any root, and nothing else', async () => {
  const others = ['.caisson-0123456789abcdef.part.txt', '.caisson-xyz.part', 'x.part'];
  await using running = await runGuest({
    prepare: async ([workspace, home, temporary]) => {
      await writeFile(join(workspace, newName()), 'half an upload');
      await mkdir(join(workspace, 'a/b'), { recursive: true });
      await symlink('target', join(workspace, 'a/b', newName()));
      const folder = join(home, newName());
      await mkdir(join(folder, 'deep'), { recursive: true });
      await writeFile(join(folder, 'deep/file'), 'half a copy');
      await symlink(folder, join(temporary, 'link'));
      await writeFile(join(temporary, newName()), '');
      for (const name of others) await writeFile(join(workspace, name), 'mine');
      const last = join(workspace, others[0] ?? '');
      const { ctimeNs } = await stat(last, { bigint: true });
      await until('the clock of the file system has gone on', async () => {
        await writeFile(last, 'mine');
        return (await stat(last, { bigint: true })).ctimeNs > ctimeNs;
      });
    },
  });
  const { roots } = running;
  await until('the leftovers are gone', async () => (await Promise.all(roots.map(leftovers))).flat().length === 0);
  expect((await readdir(roots[0])).toSorted()).toEqual([...others, 'a'].toSorted());
});

test('what has come since the start is somebody who writes', async () => {
  const root = await mkdtemp(join(tmpdir(), 'caisson-sweep-'));
  try {
    const path = join(root, newName());
    await writeFile(path, 'on its way');
    const { ctimeNs } = await stat(path, { bigint: true });
    const { signal } = new AbortController();
    const parts = { confinement: new Confinement([root]), roots: [root], signal, logger: silentLogger };
    await sweep({ ...parts, before: ctimeNs });
    expect(await leftovers(root)).toHaveLength(1);
    await sweep({ ...parts, before: ctimeNs + 1n });
    expect(await leftovers(root)).toEqual([]);
  } finally {
    await rm(root, { recursive: true });
  }
});
