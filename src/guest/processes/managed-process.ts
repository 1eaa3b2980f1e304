import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { CaissonError } from '../../kernel/errors.ts';
import type { ProcessId } from '../../kernel/ids.ts';
import {
  maxWaitingInputBytes,
  type ProcessExit,
  type ProcessInfo,
  type SignalName,
} from '../../wire/contract/processes.ts';
import type { OutputStream } from '../../wire/output-frames.ts';
import type { Child } from './spawn-child.ts';

/** How long a process that has exited may leave its output open, silently, to others that it started. */
const lingerMs = 250;

/** What is read of one process in one turn of the event loop: a process that floods takes no more than its share. */
const bytesPerTurn = 256 * 1024;

/** Where a process's output goes. */
export interface OutputSink {
  /** False: nothing more is read until `resume` of the process. */
  write(stream: OutputStream, chunk: Buffer): boolean;
  /** What of the output can be read again. */
  readonly kept: { readonly start: number; readonly end: number };
}

export interface ManagedProcessOptions {
  readonly id: ProcessId;
  readonly kind: ProcessInfo['kind'];
  readonly child: Child;
  readonly command: readonly string[];
  readonly cwd: string;
  readonly keepInput: boolean;
  readonly sink: OutputSink;
  readonly now: () => number;
}

/**
 * One process of a caller, with its group:
 *
 *     running --the process exits--> exited, output open --the output closes--> over
 *
 * The output of a background process is open for as long as anything that it started holds it. Of the others it is cut
 * 250 ms after the exit, when nothing comes any more: somebody waits for the end.
 */
export class ManagedProcess {
  readonly id: ProcessId;
  readonly pid: number;
  readonly child: Child;
  /** Resolves, never rejects, when the process has exited. */
  readonly exited: Promise<void>;
  /** Resolves, never rejects, when it has exited and its output has been handed to the sink. */
  readonly over: Promise<void>;
  isOver = false;
  readonly #options: ManagedProcessOptions;
  readonly #startedAt: number;
  readonly #outputs: readonly Readable[];
  readonly #awaiting = new Set<() => void>();
  #endedAt: number | null = null;
  #exit: ProcessExit = { exitCode: null, signal: null, timedOut: false };
  #timedOut = false;
  #isInputOpen: boolean;
  #hasSpoken = false;
  /** Whether the sink has had enough. */
  #isHeld = false;
  #readInTurn = 0;

  constructor(options: ManagedProcessOptions) {
    const { child, sink } = options;
    this.#options = options;
    this.id = options.id;
    this.child = child;
    this.pid = child.pid;
    this.#startedAt = options.now();
    this.#isInputOpen = options.keepInput;
    this.#outputs = [child.stdout, child.stderr];
    for (const [stream, readable] of [
      ['stdout', child.stdout],
      ['stderr', child.stderr],
    ] as const) {
      readable.on('data', (chunk: Buffer) => {
        this.#hasSpoken = true;
        if (!sink.write(stream, chunk)) this.#isHeld = true;
        this.#take(chunk.length);
      });
      readable.on('error', () => undefined); // also emits 'close', which counts
    }
    child.stdin.on('error', () => undefined); // it stopped reading, as it may
    child.stdin.once('close', () => (this.#isInputOpen = false));
    if (!options.keepInput) child.stdin.end();
    this.exited = new Promise((resolve) => {
      child.once('exit', (exitCode, signal) => {
        this.#exit = { exitCode, signal, timedOut: this.#timedOut };
        this.#endedAt = options.now();
        this.#isInputOpen = false;
        child.stdin.destroy();
        resolve();
        for (const onExit of this.#awaiting) onExit();
      });
    });
    this.over = this.#waitForEnd();
  }

  get kind(): ProcessInfo['kind'] {
    return this.#options.kind;
  }

  get hasExited(): boolean {
    return this.#endedAt !== null;
  }

  get exit(): ProcessExit {
    return this.#exit;
  }

  info(): ProcessInfo {
    const { id, kind, command, cwd, sink } = this.#options;
    return {
      ...this.#exit,
      id,
      pid: this.pid,
      kind,
      command: shortened(command),
      cwd,
      state: this.hasExited ? 'exited' : 'running',
      startedAt: this.#startedAt,
      endedAt: this.#endedAt,
      input: this.#isInputOpen ? 'open' : 'closed',
      output: { start: sink.kept.start, end: sink.kept.end, open: !this.isOver },
    };
  }

  /** As `exited` tells, for who may not wait so long: the returned function takes `onExit` back. */
  awaitExit(onExit: () => void): () => void {
    if (this.hasExited) onExit();
    else this.#awaiting.add(onExit);
    return () => this.#awaiting.delete(onExit);
  }

  /** Reads on after the sink had enough. */
  resume(): void {
    this.#isHeld = false;
    if (this.#readInTurn < bytesPerTurn) for (const output of this.#outputs) output.resume();
  }

  /** Its exit, when it comes, is because its time was up. */
  markTimedOut(): void {
    if (!this.hasExited) this.#timedOut = true;
  }

  /** @throws INPUT_CLOSED; INPUT_FULL where more than 1 MiB would wait to be read. Nothing is written then. */
  write(data: Buffer, end: boolean): { readonly waitingBytes: number } {
    const { stdin } = this.child;
    if (!this.#isInputOpen) throw new CaissonError('INPUT_CLOSED', `The input of ${this.id} is closed.`);
    const waitingBytes = stdin.writableLength + data.length;
    if (waitingBytes > maxWaitingInputBytes) {
      throw new CaissonError('INPUT_FULL', `${stdin.writableLength} bytes wait in the input of ${this.id}.`, {
        details: { waitingBytes: stdin.writableLength, limit: maxWaitingInputBytes },
      });
    }
    if (data.length > 0) stdin.write(data);
    if (end) {
      this.#isInputOpen = false;
      stdin.end();
    }
    return { waitingBytes: stdin.writableLength };
  }

  /** Signals the whole group. False when nothing of it is left. */
  signal(signal: SignalName): boolean {
    return sendSignal(-this.pid, signal);
  }

  /** Reads no more of the output: whoever still holds it is on its own. */
  cutOutput(): void {
    for (const output of this.#outputs) output.destroy();
  }

  #take(bytes: number): void {
    if (this.#readInTurn === 0) setImmediate(() => this.#beginTurn());
    this.#readInTurn += bytes;
    if (this.#isHeld || this.#readInTurn >= bytesPerTurn) for (const output of this.#outputs) output.pause();
  }

  #beginTurn(): void {
    const wasFull = this.#readInTurn >= bytesPerTurn;
    this.#readInTurn = 0;
    if (wasFull && !this.#isHeld) this.resume();
  }

  async #waitForEnd(): Promise<void> {
    const closed = Promise.all(this.#outputs.map((output) => new Promise<void>((done) => output.once('close', done))));
    await this.exited;
    const stopCutting = this.kind === 'background' ? undefined : this.#cutWhenSilent();
    await closed;
    stopCutting?.();
    this.isOver = true;
  }

  /** Output that waits for its reader is not silent. */
  #cutWhenSilent(): () => void {
    this.#hasSpoken = false;
    const timer = setInterval(() => {
      if (!this.#hasSpoken && !this.#isHeld) this.cutOutput();
      this.#hasSpoken = false;
    }, lingerMs);
    return () => clearInterval(timer);
  }
}

/** False when there is nothing to signal. Throws FORBIDDEN for what belongs to another user. */
export function sendSignal(target: number, signal: SignalName): boolean {
  try {
    return process.kill(target, constants.signals[signal]);
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
    if (code === 'ESRCH') return false;
    if (code === 'EPERM') throw new CaissonError('FORBIDDEN', `Process ${Math.abs(target)} belongs to another user.`);
    throw thrown;
  }
}

const maxShownArguments = 64;
const maxShownText = 2_048;

/** What goes into headers and lists: the first arguments, 2,048 characters in all. */
function shortened(command: readonly string[]): string[] {
  let left = maxShownText;
  const shown: string[] = [];
  for (const argument of command.slice(0, maxShownArguments)) {
    if (left <= 0) break;
    const text = argument.toWellFormed();
    shown.push(text.length > left ? `${text.slice(0, left)}…` : text);
    left -= text.length + 1;
  }
  if (shown.length < command.length) shown.push('…');
  return shown;
}
