import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { CaissonError, errorText } from '../../kernel/errors.ts';

/** What a call may take before it is ended. A first checkpoint of a large workspace reads all of it. */
const defaultTimeoutMs = 5 * 60_000;
/** Listings of some 200,000 files. More is too large a workspace. */
const defaultMaxOutputBytes = 32 * 1024 * 1024;
const keptStderrBytes = 8 * 1024;
/** From SIGTERM to SIGKILL. */
const graceMs = 1_000;

export interface GitCall {
  readonly args: readonly string[];
  /** Of standard input. Default: none. */
  readonly input?: Buffer;
  /** Added to the environment, e.g. another index. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** Default 5 min, then DEADLINE_EXCEEDED. */
  readonly timeoutMs?: number;
  /** Exit codes that are no failure. Default: 0. */
  readonly accepted?: readonly number[];
}

/** Runs git over the store and the workspace, apart from every setting of the machine, the user and the workspace. */
export class Git {
  readonly #workspace: string;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #running = new Set<ChildProcess>();
  #isStopped = false;

  constructor({ directory, workspace }: { readonly directory: string; readonly workspace: string }) {
    this.#workspace = workspace;
    this.#environment = { ...cleanEnvironment(), GIT_DIR: directory, GIT_WORK_TREE: workspace };
  }

  /** What it wrote. Rejects with DISK_FULL, LIMIT_REACHED for too much output, GIT_FAILED for all else. */
  async run(call: GitCall): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    await this.stream(call, (chunk) => {
      bytes += chunk.length;
      if (bytes > defaultMaxOutputBytes) {
        throw new CaissonError('LIMIT_REACHED', 'The workspace has too many files to be compared.', {
          hint: 'Put what needs no watching into .gitignore.',
        });
      }
      chunks.push(chunk);
    });
    return Buffer.concat(chunks);
  }

  /** Hands the output on as it comes. What `take` throws ends git, and is thrown; false ends it early, without an error. */
  async stream(call: GitCall, take: (chunk: Buffer) => boolean | void): Promise<void> {
    const { accepted = [0], timeoutMs = defaultTimeoutMs, signal } = call;
    signal?.throwIfAborted();
    const child = this.start(call.args, call.environment);
    const outcome = Promise.withResolvers<void>();
    let stderr = '';
    let failure: unknown;
    let isEnough = false;
    const end = (): void => {
      endGit(child);
      child.stdout.destroy();
    };
    const fail = (thrown: unknown): void => {
      failure ??= thrown;
      end();
    };
    const abort = (): void => fail(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    const timer = setTimeout(() => {
      fail(new CaissonError('DEADLINE_EXCEEDED', `git took longer than ${timeoutMs / 1000} s.`));
    }, timeoutMs);
    child.once('error', fail);
    child.stderr.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString()).slice(-keptStderrBytes);
    });
    child.stdout.on('data', (chunk: Buffer) => {
      if (failure !== undefined || isEnough) return;
      try {
        isEnough = take(chunk) === false;
        if (isEnough) end();
      } catch (thrown) {
        fail(thrown);
      }
    });
    child.once('close', (exitCode, killedBy) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      if (failure !== undefined) outcome.reject(gitError(failure));
      else if (isEnough || (exitCode !== null && accepted.includes(exitCode))) outcome.resolve();
      else outcome.reject(refusal(call.args, stderr, exitCode, killedBy));
    });
    child.stdin.end(call.input);
    await outcome.promise;
  }

  /** A process to talk with. Its owner ends it. */
  start(args: readonly string[], environment: GitCall['environment'] = {}): ChildProcessWithoutNullStreams {
    if (this.#isStopped) throw new CaissonError('ABORTED', 'The guest stops.');
    const child = spawn('git', args, {
      cwd: this.#workspace,
      env: { ...this.#environment, ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#running.add(child);
    child.once('close', () => this.#running.delete(child));
    child.stdin.on('error', () => undefined); // it ended before it read all: its exit code says why
    return child;
  }

  /** Ends all that run, and starts no more: calls reject. */
  stop(): void {
    this.#isStopped = true;
    for (const child of this.#running) endGit(child);
  }
}

/** Git takes its locks away at SIGTERM. One that somebody has stopped takes no signal but SIGKILL, which follows. */
export function endGit(child: ChildProcess): void {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  timer.unref();
  child.once('close', () => clearTimeout(timer));
}

/** Nothing of the guest's own environment but where programs are. */
function cleanEnvironment(): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
    LC_ALL: 'C', // `refusal` reads what git says
    HOME: '/nonexistent',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_NO_LAZY_FETCH: '1',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_TERMINAL_PROMPT: '0',
    GIT_PAGER: 'cat',
  };
}

function gitError(thrown: unknown): unknown {
  if (thrown instanceof CaissonError || !(thrown instanceof Error) || !('code' in thrown)) return thrown;
  if (thrown.code === 'ENOENT') {
    return new CaissonError('CAPABILITY_UNSUPPORTED', 'There is no git in the sandbox.', {
      hint: 'Install git in the sandbox image.',
      cause: thrown,
    });
  }
  return new CaissonError('GIT_FAILED', `git could not be started: ${errorText(thrown)}.`, { cause: thrown });
}

/** Git has one exit code for everything, so its words have to be read. */
function refusal(args: readonly string[], stderr: string, exitCode: number | null, killedBy: string | null): Error {
  if (/No space left on device|Disk quota exceeded/.test(stderr)) {
    return new CaissonError('DISK_FULL', 'The disk of the sandbox is full.');
  }
  if (killedBy === 'SIGXFSZ' || stderr.includes('File too large')) {
    return new CaissonError('DISK_FULL', 'A file would be larger than the sandbox allows.');
  }
  const words = stderr.trim().split('\n').at(-1) ?? '';
  const end = killedBy === null ? `exit code ${exitCode ?? 'unknown'}` : killedBy;
  const name = args.find((word) => /^[a-z]/.test(word) && !word.includes('=')) ?? 'git';
  return new CaissonError('GIT_FAILED', `git ${name} failed: ${words === '' ? end : words}`.slice(0, 900));
}
