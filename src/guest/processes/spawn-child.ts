import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { CaissonError } from '../../kernel/errors.ts';
import type { WorkingDirectory } from './working-directory.ts';

export interface ChildRequest {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly directory: WorkingDirectory;
}

/** A child with pipes on all three, which leads a session and a group of its own. */
export interface Child extends ChildProcess {
  readonly pid: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
}

/** Resolves when the program runs. PROCESS_NOT_STARTED, with the system's reason in its details, when it cannot. */
export async function spawnChild({ command, environment, directory }: ChildRequest): Promise<Child> {
  const [program = '', ...args] = command;
  try {
    const child = spawn(program, args, {
      cwd: directory.reference,
      env: environment,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    if (!isRunning(child)) await once(child);
    if (isRunning(child)) return child;
    throw new Error('it has no process id');
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    throw new CaissonError('PROCESS_NOT_STARTED', `"${program}" cannot be run: ${reasons[reason] ?? reason}.`, {
      ...(reason === 'EAGAIN'
        ? { hint: 'The sandbox is at its limit of processes. End some: `caisson ps <agent>`.' }
        : {}),
      details: { reason, program },
      cause,
    });
  }
}

function isRunning(child: ChildProcess): child is Child {
  return child.pid !== undefined;
}

/** Whatever became of a child that has no pid comes as its error. */
function once(child: ChildProcess): Promise<never> {
  return new Promise((_resolve, reject) => child.once('error', reject));
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such program',
  EACCES: 'it may not be executed',
  ENOEXEC: 'it is no program',
  E2BIG: 'the command and its environment are too long',
  EAGAIN: 'the sandbox is at its limit of processes',
  ENOMEM: 'the sandbox has no memory left',
  ELOOP: 'its path is a circle of links',
};
