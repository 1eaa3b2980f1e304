import { execFileSync } from 'node:child_process';
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Changes, type ChangesOptions } from '../../../src/guest/changes/changes.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import { newRunId, type RunId } from '../../../src/kernel/ids.ts';
import { silentLogger } from '../../../src/kernel/logger.ts';
import type { RestoreReport, Since, StatusPage } from '../../../src/wire/contract/changes.ts';

export interface TestWorkspace extends AsyncDisposable {
  readonly changes: Changes;
  /** The workspace's folder. */
  readonly folder: string;
  readonly home: string;
  write(path: string, content: string | Uint8Array): Promise<void>;
  read(path: string): Promise<string>;
  remove(path: string): Promise<void>;
  /** Begins a run, and waits for its checkpoint. */
  run(): Promise<RunId>;
  status(since: Since, paths?: string[]): Promise<StatusPage>;
  restore(checkpoint: Exclude<Since, 'commit'>, paths?: string[]): Promise<RestoreReport>;
  /** All files with their content, links and executable bits; not folders, and nothing in any `.git`. */
  tree(): Promise<Record<string, string>>;
  git(folder: string, ...args: string[]): string;
}

export const never = new AbortController().signal;

export async function makeWorkspace(
  options: Partial<ChangesOptions> = {},
  base: string = tmpdir(),
): Promise<TestWorkspace> {
  const root = await mkdtemp(join(base, 'caisson-changes-'));
  const [folder, home] = [join(root, 'workspace'), join(root, 'home')];
  await mkdir(folder);
  await mkdir(home);
  const changes = new Changes({ workspace: folder, home, clock: systemClock, logger: silentLogger, ...options });
  return {
    changes,
    folder,
    home,
    async write(path, content) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), content);
    },
    read: (path) => readFile(join(folder, path), 'utf8'),
    remove: (path) => rm(join(folder, path), { recursive: true }),
    async run() {
      const runId = newRunId();
      changes.turnStarted(runId);
      await changes.beforeAnswers();
      return runId;
    },
    status: (since, paths = []) => changes.status({ since, paths, limit: 500, after: null }, never),
    restore: (checkpoint, paths = []) => changes.restore({ checkpoint, paths, force: false }, () => undefined),
    tree: () => treeOf(folder),
    git: (at, ...args) =>
      execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', '-C', join(folder, at), ...args], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    async [Symbol.asyncDispose]() {
      await changes.stop();
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** Every byte below a folder, with modes: for what must not change at all. */
export async function bytesOf(folder: string): Promise<Record<string, string>> {
  return await treeOf(folder, () => true);
}

async function treeOf(folder: string, wanted = (name: string) => name !== '.git'): Promise<Record<string, string>> {
  const tree: Record<string, string> = {};
  const walk = async (at: Buffer, prefix: string): Promise<void> => {
    for (const name of await readdir(at, { encoding: 'buffer' })) {
      if (!wanted(name.toString())) continue;
      const path = Buffer.concat([at, Buffer.from('/'), name]);
      const shown = `${prefix}${name.toString('latin1')}`;
      const stats = await lstat(path);
      if (stats.isDirectory()) await walk(path, `${shown}/`);
      else if (stats.isSymbolicLink()) tree[shown] = `-> ${(await readlink(path, 'buffer')).toString('latin1')}`;
      else if (stats.isFile()) {
        const mode = (stats.mode & 0o100) === 0 ? 'file' : 'program';
        tree[shown] = `${mode} ${(await readFile(path)).toString('latin1')}`;
      }
    }
  };
  await walk(Buffer.from(folder), '');
  return tree;
}
