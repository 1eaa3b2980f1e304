import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ExpectedError } from './expected-error.mjs';

interface Command {
  readonly program: string;
  readonly args: readonly string[];
  /** What the command is for, as in "could not <purpose>". */
  readonly purpose: string;
  readonly env?: NodeJS.ProcessEnv;
}

const outputGraceMs = 1000;

/** Runs a program quietly. When it fails, rejects with the last 4,000 characters of what it said. */
export async function runCommand({ program, args, purpose, env }: Command): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: env ?? process.env });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4000)));
  }
  const outcome = await new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    const end = (code: number | null, signal: string | null): void =>
      resolve(code === 0 ? undefined : `exit ${code ?? signal}`);
    child.once('close', end);
    // A daemon that the program started may hold on to its output for ever.
    child.once('exit', (code, signal) => setTimeout(end, outputGraceMs, code, signal));
  });
  child.stdout.destroy();
  child.stderr.destroy();
  if (outcome === undefined) return;
  throw new ExpectedError(`could not ${purpose}: ${program} ${args.join(' ')} (${outcome})\n${said}`.trimEnd());
}

/** The program's path, from PATH and where Debian keeps its daemons, or undefined. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}
