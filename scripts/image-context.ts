import { spawn } from 'node:child_process';
import { chmod, copyFile, link, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { repositoryRoot } from './harness-install.ts';

/**
 * A build context laid out on disk: `layers/<name>/…` becomes `/…` of the image. Large files are links to their source, not copies.
 * Files are readable by everyone, because `COPY` keeps their modes. Disposing removes it.
 */
export class ImageContext {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async create(): Promise<ImageContext> {
    const cache = join(repositoryRoot, '.caisson/cache');
    await mkdir(cache, { recursive: true });
    return new ImageContext(await mkdtemp(join(cache, 'context-')));
  }

  /** A small file with its content and mode. */
  async write(path: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
    const target = await this.#target(path);
    await writeFile(target, content);
    await chmod(target, mode);
  }

  /** A link from `path` to an absolute path in the image. */
  async symlink(path: string, imagePath: string): Promise<void> {
    await symlink(imagePath, await this.#target(path));
  }

  /** A file, or the files of a whole tree, as they are, without what `leaveOut` (given paths relative to `source`) says. */
  async add(path: string, source: string, leaveOut: (relative: string) => boolean = () => false): Promise<void> {
    if ((await stat(source)).isFile()) return linkOrCopy(source, await this.#target(path));
    for (const entry of await readdir(source, { withFileTypes: true, recursive: true })) {
      const file = join(entry.parentPath, entry.name);
      const relative = file.slice(source.length + 1);
      if (entry.isFile() && !leaveOut(relative)) await linkOrCopy(file, await this.#target(join(path, relative)));
    }
  }

  /** The context as the tar that the engine wants. */
  archive(): Readable {
    const env = { ...process.env, COPYFILE_DISABLE: '1' };
    const tar = spawn('tar', ['-C', this.#folder, '-cf', '-', '.'], { stdio: ['ignore', 'pipe', 'inherit'], env });
    tar.once('error', (error) => tar.stdout.destroy(error));
    tar.once('exit', (code) => code === 0 || tar.stdout.destroy(new Error(`tar failed (exit ${code})`)));
    return tar.stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #target(path: string): Promise<string> {
    const target = join(this.#folder, path);
    await mkdir(dirname(target), { recursive: true });
    return target;
  }
}

async function linkOrCopy(source: string, target: string): Promise<void> {
  try {
    await link(source, target);
  } catch {
    // Another file system, or one without links.
    await copyFile(source, target);
  }
}
