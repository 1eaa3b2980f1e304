import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';

const execute = promisify(execFile);
export const repositoryRoot = fileURLToPath(new URL('../../', import.meta.url));

const packedSchema = z.tuple([z.object({ filename: z.string(), files: z.array(z.object({ path: z.string() })) })]);
const manifestSchema = z.object({ version: z.string(), devDependencies: z.record(z.string(), z.string()) });

/** A new TypeScript project that has the packed package installed, as its users get it. Disposing removes it. */
export interface InstalledPackage extends AsyncDisposable {
  /** The project's folder. */
  readonly directory: string;
  /** The version of this package. */
  readonly version: string;
  /** Every file of the package, by its path in it. */
  readonly files: readonly string[];
  write(file: string, text: string): Promise<void>;
  /** Runs a program of the project's `node_modules/.bin`, or of PATH. Rejects with its output when it fails. */
  run(program: string, args: readonly string[]): Promise<string>;
}

/**
 * A copy of what a clone of the repository holds and a package is made of, with the installed dependencies: packing
 * writes into it, and several tests pack at a time.
 */
export async function cloneRepository(directory: string): Promise<void> {
  const { files } = z
    .object({ files: z.array(z.string()) })
    .parse(JSON.parse(await readFile(join(repositoryRoot, 'package.json'), 'utf8')));
  const copied = [
    ...files.filter((file) => file !== 'dist'),
    'package.json',
    'tsconfig.json',
    'tsconfig.build.json',
    'src',
  ];
  for (const name of copied) await cp(join(repositoryRoot, name), join(directory, name), { recursive: true });
  await symlink(join(repositoryRoot, 'node_modules'), join(directory, 'node_modules'));
}

export async function installPackage(): Promise<InstalledPackage> {
  const manifest = manifestSchema.parse(JSON.parse(await readFile(join(repositoryRoot, 'package.json'), 'utf8')));
  const directory = await mkdtemp(join(tmpdir(), 'caisson-package-'));
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rm(directory, { recursive: true }));

  const clone = join(directory, 'clone');
  await cloneRepository(clone);
  await execute('npm', ['run', '--silent', 'build'], { cwd: clone });
  const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', directory];
  const { stdout } = await execute('npm', pack, { cwd: clone });
  await rm(clone, { recursive: true });
  const [{ filename, files }] = packedSchema.parse(JSON.parse(stdout));
  const project = { name: 'somebody-elses', version: '1.0.0', private: true, type: 'module' };
  await writeFile(join(directory, 'package.json'), JSON.stringify(project));
  const others = ['typescript', '@types/node'].map((name) => `${name}@${manifest.devDependencies[name]}`);
  const install = ['install', '--no-audit', '--no-fund', '--prefer-offline', `./${filename}`, ...others];
  await execute('npm', install, { cwd: directory });

  const held = undo.move();
  return {
    directory,
    version: manifest.version,
    files: files.map(({ path }) => path),
    write: (file, text) => writeFile(join(directory, file), text),
    async run(program, args) {
      const PATH = `${join(directory, 'node_modules/.bin')}:${process.env['PATH']}`;
      try {
        const { stdout } = await execute(program, args, { cwd: directory, env: { ...process.env, PATH } });
        return stdout;
      } catch (thrown) {
        if (thrown instanceof Error && 'stdout' in thrown) {
          throw new Error(`${program} failed:\n${String(thrown.stdout)}\n${thrown.message}`, { cause: thrown });
        }
        throw thrown;
      }
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}
