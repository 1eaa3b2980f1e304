import type { ServerHttp2Stream } from 'node:http2';
import type { z } from 'zod';
import { CaissonError } from '../../kernel/errors.ts';
import type { TerminalId } from '../../kernel/ids.ts';
import {
  type attachRequestSchema,
  terminalBounds,
  type Terminal as TerminalInfo,
  type TerminalSize,
  type TerminalUpMessage,
} from '../../wire/contract/terminals.ts';
import { BurstGate } from './burst-gate.ts';
import { OutputRing } from './output-ring.ts';
import { Pty, type PtyExit, type PtyOptions } from './pty.ts';
import { Reader } from './reader.ts';
import { endSession } from './session.ts';

/**
 * The program waits while the fastest of its readers is so much behind, and goes on when it has caught up to the second
 * figure. A reader that is slower falls behind on the ring.
 */
const backlogBytes = { pause: 128 * 1024, resume: 64 * 1024 } as const;

/** Input of all readers together that the program has not taken. */
const mostPendingInput = 8 * terminalBounds.inputWindowBytes;

/** How often it is looked whether those for whom the program waits are still there. */
const waitingLookMs = 5_000;

type TerminalOptions = Omit<PtyOptions, 'onOutput' | 'onExit'> & {
  readonly id: TerminalId;
  /** As it was asked for, to be shown. */
  readonly command: readonly string[];
  readonly onEnd: () => void;
};

/**
 * One terminal: a program, the output of it that is kept, and its readers, of whom at most one drives. With a reader that
 * keeps up the program runs at the pace of the fastest one; without any it runs freely, and the oldest output goes.
 */
export class Terminal {
  readonly id: TerminalId;
  readonly #options: TerminalOptions;
  readonly #ring = new OutputRing(terminalBounds.scrollbackBytes);
  readonly #gate: BurstGate;
  /** Who is there, drives and how large it is goes out no more often than output. */
  readonly #news: BurstGate;
  readonly #createdAt: number;
  readonly #exited = Promise.withResolvers<void>();
  readonly #readers = new Map<number, Reader>();
  #pty: Pty | undefined;
  #size: TerminalSize;
  #driver: Reader | undefined;
  #lastReaderId = 0;
  #exit: (PtyExit & { readonly at: number }) | undefined;
  #isWaiting = false;
  #looksAgain = false;

  private constructor(options: TerminalOptions) {
    this.id = options.id;
    this.#options = options;
    this.#size = options.size;
    this.#createdAt = options.clock.now();
    this.#gate = new BurstGate(options.clock, () => this.#deliver());
    this.#news = new BurstGate(options.clock, () => this.#tellAll());
  }

  /** Rejects as `Pty.spawn` does. */
  static async open(options: TerminalOptions): Promise<Terminal> {
    const terminal = new Terminal(options);
    terminal.#pty = await Pty.spawn({
      ...options,
      onOutput: (chunk) => {
        terminal.#ring.push(chunk);
        terminal.#gate.schedule();
      },
      onExit: (exit) => terminal.#end(exit),
    });
    return terminal;
  }

  get hasEnded(): boolean {
    return this.#exit !== undefined;
  }

  info(): TerminalInfo {
    const { command, cwd } = this.#options;
    return {
      id: this.id,
      command: [...command],
      cwd,
      pid: this.#pty?.pid ?? 0,
      createdAt: this.#createdAt,
      ...this.#situation(),
      output: { start: this.#ring.start, end: this.#ring.end },
      exit: this.#exit ?? null,
    };
  }

  /** LIMIT_REACHED with 16 readers; CURSOR_AHEAD for a byte that was not printed yet. */
  attach(stream: ServerHttp2Stream, request: z.output<typeof attachRequestSchema>): void {
    const { after, as, token, name } = request;
    if (after !== undefined && after > this.#ring.end) {
      throw new CaissonError('CURSOR_AHEAD', `The terminal has printed ${this.#ring.end} bytes, not ${after}.`);
    }
    const before = [...this.#readers.values()].find((reader) => reader.token === token);
    const wasDriver = before !== undefined && before === this.#driver;
    before?.end(new CaissonError('ABORTED', 'The same reader has attached again.'));
    if (this.#readers.size >= terminalBounds.readers) {
      throw new CaissonError(
        'LIMIT_REACHED',
        `${terminalBounds.readers} readers are attached to the terminal already.`,
      );
    }
    const reader: Reader = new Reader({
      id: ++this.#lastReaderId,
      token,
      name,
      after,
      stream,
      ring: this.#ring,
      clock: this.#options.clock,
      onInput: (input, taken) => this.#input(reader, input, taken),
      onRequest: (message) => this.#obey(reader, message),
      onProgress: () => this.#pace(),
      onLeave: () => this.#leave(reader),
    });
    this.#readers.set(reader.id, reader);
    if (as === 'driver' || (as === 'auto' && this.#driver === undefined) || (wasDriver && as !== 'observer')) {
      this.#driver = reader;
    }
    if (this.#exit === undefined) {
      this.#news.schedule();
      this.#pace();
    } else {
      reader.tell(this.#situation());
      reader.finish(this.#exit);
    }
  }

  /** For who is not attached: TERMINAL_NOT_DRIVING while somebody drives. */
  resize(size: TerminalSize): void {
    const driver = this.#driver;
    if (driver !== undefined) {
      throw new CaissonError('TERMINAL_NOT_DRIVING', `${driver.name || 'Somebody'} drives the terminal.`);
    }
    this.#resize(size);
  }

  /** Hangs up, and kills what is left of its session 2 s later. Resolves when the program has ended. */
  async close(): Promise<void> {
    if (this.#pty === undefined || this.hasEnded) return;
    await endSession(this.#pty, this.#exited.promise, this.#options.clock);
  }

  #end(exit: PtyExit): void {
    this.#exit = { ...exit, at: this.#options.clock.now() };
    this.#tellAll(); // who has just come has not been told yet
    for (const reader of this.#readers.values()) reader.finish(exit);
    this.#exited.resolve();
    this.#options.onEnd();
  }

  #leave(reader: Reader): void {
    if (!this.#readers.delete(reader.id)) return;
    if (this.#driver === reader) this.#driver = undefined;
    if (this.hasEnded) return; // nobody drives any more, which is no news
    this.#news.schedule();
    this.#pace();
  }

  #input(reader: Reader, input: Buffer, taken: (bytes: number) => void): void {
    const pty = this.#pty;
    if (reader !== this.#driver || pty === undefined) return taken(input.length); // an observer's keys go nowhere
    if (pty.pendingInput > mostPendingInput) {
      throw new CaissonError('LIMIT_REACHED', 'The program does not take its input.');
    }
    this.#gate.favour();
    pty.write(input, taken);
  }

  #obey(reader: Reader, message: Exclude<TerminalUpMessage, { type: 'ack' }>): void {
    if (this.hasEnded) return;
    switch (message.type) {
      case 'take':
        this.#driver = reader;
        return this.#news.schedule();
      case 'give':
        if (reader !== this.#driver) return;
        this.#driver = message.to === undefined ? undefined : this.#readers.get(message.to);
        return this.#news.schedule();
      case 'resize':
        if (reader === this.#driver) this.#resize({ cols: message.cols, rows: message.rows });
    }
  }

  #resize(size: TerminalSize): void {
    if (size.cols === this.#size.cols && size.rows === this.#size.rows) return;
    this.#size = size;
    this.#pty?.resize(size);
    this.#news.schedule();
  }

  #situation() {
    const readers = [...this.#readers.values()].map(({ id, name, since }) => ({ id, name, since }));
    return { ...this.#size, readers, driver: this.#driver?.id ?? null };
  }

  #tellAll(): void {
    const situation = this.#situation();
    for (const reader of this.#readers.values()) reader.tell(situation);
  }

  #deliver(): void {
    for (const reader of this.#readers.values()) reader.deliver();
    this.#pace();
  }

  #pace(): void {
    let least = Number.POSITIVE_INFINITY;
    for (const reader of this.#readers.values()) if (reader.isFollowing) least = Math.min(least, reader.backlog);
    const isBehind =
      least !== Number.POSITIVE_INFINITY && least >= (this.#isWaiting ? backlogBytes.resume : backlogBytes.pause);
    this.#pty?.hold(isBehind);
    this.#isWaiting = isBehind;
    if (!isBehind || this.#looksAgain) return;
    this.#looksAgain = true;
    this.#options.clock.schedule(waitingLookMs, () => {
      this.#looksAgain = false;
      this.#pace();
    });
  }
}
