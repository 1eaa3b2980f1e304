import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { until } from '../until.ts';

const main = fileURLToPath(new URL('../../scripts/caisson.mjs', import.meta.url));

export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `caisson …` as a process of its own, with nothing of this process's environment but the PATH. */
export class CliProcess {
  readonly child: ChildProcessWithoutNullStreams;
  stdout = '';
  stderr = '';
  readonly #exited: Promise<unknown>;

  constructor(args: readonly string[], environment: Readonly<Record<string, string>>) {
    // A directory without a `.caisson`, so that no key is found by chance.
    const env = { PATH: process.env['PATH'], CAISSON_DATA_DIR: '/nonexistent', ...environment };
    this.child = spawn(process.execPath, [main, ...args], { env, cwd: tmpdir() });
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.#exited = once(this.child, 'close');
  }

  /** Waits for a text on stderr. */
  async says(text: string): Promise<void> {
    await until(`"${text}" on stderr`, () => this.stderr.includes(text));
  }

  async ended(): Promise<Ended> {
    await this.#exited;
    return { exitCode: this.child.exitCode, stdout: this.stdout, stderr: this.stderr };
  }
}

export async function caisson(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  input = '',
): Promise<Ended> {
  const command = new CliProcess(args, environment);
  command.child.stdin.end(input);
  return await command.ended();
}
