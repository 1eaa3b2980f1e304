import { chmod, copyFile, mkdir, readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ExpectedError } from './expected-error.mjs';
import { lockedInstall } from './locked-install.mjs';
import { runCommand } from './run-command.ts';

export const repositoryRoot = fileURLToPath(new URL('..', import.meta.url));
const imageFolder = join(repositoryRoot, 'images/sandbox');
const cacheFolder = join(repositoryRoot, '.caisson/cache');

/** The processor of a sandbox, in Node's words. */
export type SandboxCpu = 'x64' | 'arm64';

type Log = (line: string) => void;

/** Installs the harness that tests and benchmarks run on this machine: images/sandbox/node_modules. Returns that folder. */
export async function ensureHostHarness(log: Log): Promise<string> {
  await lockedInstall({ directory: imageFolder, title: 'Codex harness', log, flags: ['--omit=dev'] });
  return join(imageFolder, 'node_modules');
}

/** The harness's node_modules for a sandbox on Linux with `cpu`. Where this machine is the same, it is the one of `ensureHostHarness`. */
export async function ensureSandboxHarness(cpu: SandboxCpu, log: Log): Promise<string> {
  if (process.platform === 'linux' && process.arch === cpu) return ensureHostHarness(log);
  return installFor(cpu, imageFolder, `harness-linux-${cpu}`, log);
}

/** The node_modules of the optional Claude harness. */
export async function ensureClaudeHarness(cpu: SandboxCpu, log: Log): Promise<string> {
  return installFor(cpu, join(imageFolder, 'claude'), `claude-linux-${cpu}`, log);
}

/** The Node binary for a sandbox on Linux with `cpu`: the one that this repository runs on, or the same version for the other processor. */
export async function ensureSandboxNode(cpu: SandboxCpu, log: Log): Promise<string> {
  const name = `node-linux-${cpu}`;
  const own = join(repositoryRoot, 'node_modules', name, 'bin/node');
  const directory = join(cacheFolder, name);
  const cached = join(directory, 'node_modules', name, 'bin/node');
  const version = await nodeVersion(cpu);
  if (!existsSync(own) && !existsSync(cached)) {
    log(`fetching Node.js ${version} for linux-${cpu} (about 10 s)`);
    await mkdir(directory, { recursive: true });
    const args = [
      'install',
      '--prefix',
      directory,
      '--no-save',
      '--no-audit',
      '--no-fund',
      `--os=linux`,
      `--cpu=${cpu}`,
    ];
    await runCommand({ program: 'npm', args: [...args, `${name}@${version}`], purpose: `fetch ${name}` });
  }
  const binary = existsSync(own) ? own : cached;
  await chmod(binary, 0o755);
  return binary;
}

/** The exact version of Node in the sandbox, from runtime/package.json. */
export async function nodeVersion(cpu: SandboxCpu): Promise<string> {
  const manifest: unknown = JSON.parse(await readFile(join(repositoryRoot, 'runtime/package.json'), 'utf8'));
  const version = new RegExp(`"node-linux-${cpu}":"([^"]+)"`).exec(JSON.stringify(manifest))?.[1];
  if (version === undefined) throw new ExpectedError(`runtime/package.json names no node-linux-${cpu}.`);
  return version;
}

async function installFor(cpu: SandboxCpu, source: string, name: string, log: Log): Promise<string> {
  const directory = join(cacheFolder, name);
  await mkdir(directory, { recursive: true });
  for (const file of ['package.json', 'package-lock.json']) await copyFile(join(source, file), join(directory, file));
  const flags = ['--omit=dev', '--os=linux', `--cpu=${cpu}`, '--libc=glibc'];
  await lockedInstall({ directory, title: name, log, flags });
  return join(directory, 'node_modules');
}
