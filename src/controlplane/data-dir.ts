import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { access, constants, link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Logger } from '../kernel/logger.ts';
import { unusableDataDir } from './storage/unusable-data-dir.ts';

export interface DataDir {
  readonly path: string;
  /** The name that this control plane's sandboxes carry: given in the configuration, or made once and kept here. */
  readonly instance: string;
}

/**
 * Makes the data directory, readable by its owner only (one that exists keeps its mode, for it may be more than ours: where
 * others can look into it, the log says so), and reads or makes the instance's name. A given name is not stored: it may be taken back.
 *
 * @throws CaissonError CONFIG_INVALID when the directory cannot be used.
 */
export async function openDataDir(options: {
  readonly path: string;
  readonly instance: string | null;
  readonly logger: Pick<Logger, 'warn'>;
}): Promise<DataDir> {
  const { path, logger } = options;
  try {
    await makeDirectory(path);
    await access(path, constants.W_OK); // a file system that is mounted read-only says so here, also to root
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) logger.warn({ path }, 'others can look into the data directory; give it mode 700');
    return { path, instance: options.instance ?? (await keptInstance(join(path, 'instance'))) };
  } catch (cause) {
    throw unusableDataDir(path, cause);
  }
}

/** One level at a time: making several at once never ends below /proc. */
async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown)) throw thrown;
    if (thrown.code === 'EEXIST') return;
    if (thrown.code !== 'ENOENT' || dirname(path) === path) throw thrown;
    await makeDirectory(dirname(path));
    await mkdir(path, { mode: 0o700 });
  }
}

async function keptInstance(file: string): Promise<string> {
  if (!existsSync(file)) await writeOnce(file, `c${randomBytes(5).toString('hex')}\n`);
  const kept = (await readFile(file, 'utf8')).trim();
  if (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(kept)) throw new Error(`${file} does not hold an instance name`);
  return kept;
}

/** Writes a file of mode 600 unless there is one; a reader sees all of it or none, also after a crash. */
async function writeOnce(file: string, text: string): Promise<void> {
  const draft = await writeDraft(file, text);
  try {
    await link(draft, file);
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST')) throw thrown;
  } finally {
    await rm(draft);
  }
}

/** Writes or replaces a file of mode 600; a reader sees the old text or the new one, also after a crash. */
export async function replacePrivateFile(file: string, text: string): Promise<void> {
  const draft = await writeDraft(file, text);
  try {
    await rename(draft, file);
  } catch (thrown) {
    await rm(draft, { force: true });
    throw thrown;
  }
}

async function writeDraft(file: string, text: string): Promise<string> {
  const draft = `${file}.${randomBytes(6).toString('hex')}`;
  const handle = await open(draft, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } catch (thrown) {
    await rm(draft, { force: true });
    throw thrown;
  } finally {
    await handle.close();
  }
  return draft;
}
