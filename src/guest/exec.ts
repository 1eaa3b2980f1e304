import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { ServerHttp2Stream } from 'node:http2';
import { CaissonError, errorText } from '../kernel/errors.ts';
import {
  type ExecExit,
  execHeader,
  type ExecRequest,
  execRequestSchema,
  exitTrailer,
  guestPaths,
  maxStderrBytes,
  stderrTrailer,
} from '../wire/contract/guest-api.ts';
import { decodeHeaderJson, encodeHeaderJson } from '../wire/header-json.ts';
import { ByteRing } from './byte-ring.ts';
import { parseInput, type Route } from './inward-call.ts';

/** Well below the sandbox's limit of processes, so that the harness can still start its own. */
const maxProcesses = 64;

/** How long a process that has exited may leave its output open, silently, to others that it started. */
const lingerMs = 250;

export function execRoutes(exec: ExecRunner): readonly Route[] {
  return [
    {
      method: 'POST',
      path: guestPaths.exec,
      handle: ({ stream, headers }) => {
        const request = parseInput(execRequestSchema, decodeHeaderJson(headers[execHeader]), `header ${execHeader}`);
        return exec.run(stream, request);
      },
    },
  ];
}

/** Runs processes for the control plane: input and output raw, the exit in the trailers. */
export class ExecRunner {
  #running = 0;

  /**
   * Resolves when the process is started and the answer is under way. BAD_REQUEST when it cannot be started,
   * LIMIT_REACHED above 64 at once. The process leads its own group, which is killed when the stream closes early.
   */
  async run(stream: ServerHttp2Stream, request: ExecRequest): Promise<void> {
    if (this.#running >= maxProcesses) {
      throw new CaissonError('LIMIT_REACHED', `${maxProcesses} processes are running already.`, {
        hint: 'Wait for one of them to end.',
      });
    }
    this.#running++;
    let child: ChildProcessWithoutNullStreams;
    try {
      child = await startChild(request);
    } catch (thrown) {
      this.#running--;
      throw thrown;
    }
    child.once('exit', () => this.#running--);
    connect(child, stream);
  }
}

async function startChild({ command, cwd, env }: ExecRequest): Promise<ChildProcessWithoutNullStreams> {
  const [program = '', ...args] = command;
  try {
    const child = spawn(program, args, {
      cwd,
      env: env === undefined ? process.env : { ...process.env, ...env },
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    return child;
  } catch (thrown) {
    throw new CaissonError('BAD_REQUEST', `"${program}" cannot be run: ${errorText(thrown)}.`, {
      hint: 'Check the program, the directory and their permissions in the sandbox.',
      cause: thrown,
    });
  }
}

function connect(child: ChildProcessWithoutNullStreams, stream: ServerHttp2Stream): void {
  const stderr = new ByteRing(maxStderrBytes);
  let exit: ExecExit | undefined;

  const killGroup = (): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ESRCH') throw thrown; // gone already is what we want
    }
  };
  if (stream.destroyed) {
    killGroup();
    return;
  }
  let answered = false;
  stream.once('close', () => {
    if (answered) return;
    killGroup();
    child.stdout.destroy();
  });
  stream.respond({ ':status': 200, 'content-type': 'application/octet-stream' }, { waitForTrailers: true });
  stream.once('wantTrailers', () => {
    answered = true;
    stream.sendTrailers({
      [exitTrailer]: encodeHeaderJson(exit),
      [stderrTrailer]: stderr.contents().toString('base64url'),
    });
  });

  child.stdin.on('error', () => undefined); // it stopped reading, as it may
  child.stdin.once('close', () => stream.resume());
  stream.pipe(child.stdin);

  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  let heard = false;
  child.stdout.on('data', (chunk: Buffer) => {
    heard = true;
    if (!stream.write(chunk)) child.stdout.pause();
  });
  stream.on('drain', () => child.stdout.resume());

  const finish = (): void => {
    if (exit === undefined || !child.stdout.closed || !child.stderr.closed || stream.writableEnded) return;
    stream.end();
  };
  child.stdout.once('close', finish);
  child.stderr.once('close', finish);
  child.once('exit', (exitCode, signal) => {
    exit = { exitCode, signal };
    finish();
    if (!stream.writableEnded) linger();
  });
  /** A background process that inherited the output must not hold the answer back for ever. */
  const linger = (): void => {
    heard = false;
    setTimeout(() => {
      if (child.stdout.closed && child.stderr.closed) return;
      if (heard || child.stdout.isPaused()) linger();
      else {
        child.stdout.destroy();
        child.stderr.destroy();
      }
    }, lingerMs);
  };
}
