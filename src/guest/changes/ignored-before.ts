import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BlobReader } from './blob-reader.ts';
import { type BytePath, nulSeparated, onDisk, parentOf, splitNul } from './byte-path.ts';
import type { Git } from './git.ts';
import { listingTimeoutMs } from './snapshot.ts';

/** Before each path, so that a name with a colon in front is no pattern of git's. */
const here = './';

interface Question {
  readonly git: Git;
  /** The tree whose `.gitignore` files count. */
  readonly tree: string;
  readonly paths: readonly BytePath[];
  /** Where a folder can be made for a moment. */
  readonly directory: string;
}

/**
 * Which of the paths were ignored by the rules of another time. A file that was ignored then is in no tree, and must not be
 * taken for one that was added since, because a `.gitignore` was changed in between.
 */
export async function ignoredBefore({ git, tree, paths, directory }: Question): Promise<ReadonlySet<BytePath>> {
  if (paths.length === 0) return new Set();
  const listed = splitNul(await git.run({ args: ['ls-tree', '-r', '-z', '--full-tree', tree] }));
  const rules = listed.filter((entry) => /^100.*[\t/]\.gitignore$/s.test(entry));
  if (rules.length === 0) return new Set();
  const folder = await mkdtemp(join(directory, 'rules-'));
  try {
    using blobs = new BlobReader(git);
    for (const entry of rules) {
      const [head, path] = [entry.slice(0, entry.indexOf('\t')), entry.slice(entry.indexOf('\t') + 1)];
      await mkdir(onDisk(parentOf(path), folder), { recursive: true });
      await writeFile(onDisk(path, folder), await blobs.read(head.split(' ')[2] ?? ''));
    }
    const output = await git.run({
      args: ['-C', folder, 'check-ignore', '--no-index', '-z', '--stdin'],
      input: nulSeparated(paths.map((path) => here + path)),
      environment: { GIT_WORK_TREE: folder },
      accepted: [0, 1], // 1: none is
      timeoutMs: listingTimeoutMs,
    });
    return new Set(splitNul(output).map((path) => path.slice(here.length)));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
