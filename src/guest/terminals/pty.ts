import { Socket } from 'node:net';
import { constants } from 'node:os';
import type { spawn as spawnPty } from '@lydell/node-pty';
import type { Clock } from '../../kernel/clock.ts';
import { CaissonError, errorText } from '../../kernel/errors.ts';
import type { TerminalSize } from '../../wire/contract/terminals.ts';
import { PtyInput } from './pty-input.ts';

/** How much of a terminal is read in one slot: 8 MB/s, more than a screen can show, and so much is left for others. */
const slotBytes = 32 * 1024;
const slotMs = 4;

/** How often a terminal that is not read is asked whether its program has ended. node-pty gives up its output 200 ms later. */
const lookMs = 50;

/** How soon it is asked whether a program has ended that has closed its terminal: doubling, up to `lookMs`. */
const firstLookMs = 1;

export interface PtyExit {
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: string | null;
}

export interface PtyOptions {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly size: TerminalSize;
  readonly clock: Clock;
  readonly onOutput: (chunk: Buffer) => void;
  /** Called once, after the last output. */
  readonly onExit: (exit: PtyExit) => void;
}

/** A program on a pseudo terminal. Its output is read at 8 MB/s at most, and not at all while it is held. */
export class Pty {
  readonly pid: number;
  readonly #native: { resize(cols: number, rows: number): void };
  readonly #socket: Socket;
  readonly #input: PtyInput;
  readonly #clock: Clock;
  #slotEndsAt = 0;
  #left = slotBytes;
  #isHeld = false;
  #isPacing = false;
  #hasEnded = false;
  #isHungUp = false;

  private constructor(options: PtyOptions, spawn: typeof spawnPty) {
    const { file, args, cwd, env, size, clock, onOutput, onExit } = options;
    const native = spawn(file, [...args], { ...size, cwd, env, encoding: null, name: env['TERM'] ?? 'dumb' });
    // node-pty's own functions know no back-pressure: what they stand on does.
    const socket = '_socket' in native ? native._socket : undefined;
    const fd = 'fd' in native ? native.fd : undefined;
    if (!(socket instanceof Socket) || typeof fd !== 'number') {
      native.kill('SIGKILL');
      throw new CaissonError('CAPABILITY_UNSUPPORTED', 'The terminal module of this sandbox is not the known one.');
    }
    this.pid = native.pid;
    this.#native = native;
    this.#socket = socket;
    this.#clock = clock;
    this.#input = new PtyInput(fd, clock, () => !socket.destroyed);
    this.#closeAfterProgram(socket);
    socket.on('data', (chunk: Buffer) => {
      this.#count(chunk.length);
      onOutput(chunk);
    });
    native.onExit(({ exitCode, signal }) => {
      onExit(signal ? { exitCode: null, signal: signalName(signal) } : { exitCode, signal: null });
    });
  }

  /** CAPABILITY_UNSUPPORTED where the image lacks the native module; LIMIT_REACHED when no further process can be started. */
  static async spawn(options: PtyOptions): Promise<Pty> {
    const spawn = await loadSpawn();
    try {
      return new Pty(options, spawn);
    } catch (thrown) {
      if (thrown instanceof CaissonError) throw thrown;
      throw new CaissonError('LIMIT_REACHED', `The terminal cannot be started: ${errorText(thrown)}.`, {
        hint: 'Too many processes or terminals run in the sandbox. End some of them.',
        cause: thrown,
      });
    }
  }

  /** Input that the program has not taken yet. */
  get pendingInput(): number {
    return this.#input.pending;
  }

  /** As `PtyInput.write`. */
  write(input: Buffer, taken: (bytes: number) => void): void {
    this.#input.write(input, taken);
  }

  resize({ cols, rows }: TerminalSize): void {
    if (!this.#socket.destroyed) this.#native.resize(cols, rows);
  }

  /** While it is held it is not read: the program waits when it has printed some 100 KiB more. */
  hold(isHeld: boolean): void {
    if (this.#isHeld === isHeld || this.#hasEnded || this.#socket.destroyed) return;
    this.#isHeld = isHeld;
    if (!isHeld) {
      if (!this.#isPacing) this.#socket.resume();
      return;
    }
    this.#socket.pause();
    this.#watch();
  }

  /** Closes the terminal: what is still connected to it gets SIGHUP, as when a line goes dead. */
  hangUp(): void {
    this.#isHungUp = true;
    this.#socket.destroy();
  }

  /**
   * A program may close its terminal a moment before it ends, as `cat` does to find out whether its last writes failed. That is
   * an error to whoever reads. To close the other end in that moment would be to kill it by SIGHUP: that waits for its end.
   */
  #closeAfterProgram(socket: Socket): void {
    const close = socket._destroy.bind(socket);
    socket._destroy = (error, done) => {
      const look = (delayMs: number): void => {
        if (error === null || this.#isHungUp || !isAlive(this.pid)) return close(error, done);
        this.#clock.schedule(delayMs, () => look(Math.min(lookMs, 2 * delayMs)));
      };
      look(firstLookMs);
    };
  }

  #count(bytes: number): void {
    const now = this.#clock.elapsed();
    if (now >= this.#slotEndsAt) {
      this.#slotEndsAt = now + slotMs;
      this.#left = slotBytes;
    }
    this.#left -= bytes;
    if (this.#left > 0 || this.#isPacing) return;
    this.#isPacing = true;
    this.#socket.pause();
    this.#clock.schedule(slotMs, () => {
      this.#isPacing = false;
      if (!this.#isHeld) this.#socket.resume();
    });
  }

  /** The last output of a program that ended while it was held must be read before it is given up. */
  #watch(): void {
    this.#clock.schedule(lookMs, () => {
      if (!this.#isHeld || this.#socket.destroyed) return;
      if (isAlive(this.pid)) return this.#watch();
      this.#hasEnded = true;
      this.#isHeld = false;
      this.#socket.resume(); // what is left is what the kernel's buffer holds
    });
  }
}

async function loadSpawn(): Promise<typeof spawnPty> {
  try {
    return (await import('@lydell/node-pty')).spawn;
  } catch (cause) {
    throw new CaissonError('CAPABILITY_UNSUPPORTED', 'The image of this sandbox has no terminals.', {
      hint: 'Build the sandbox image again with `npm run setup`, and start the sandbox anew.',
      cause,
    });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function signalName(number: number): string {
  const name = Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
  return name ?? `SIG${number}`;
}
