import type { ServerHttp2Stream } from 'node:http2';
import type { Clock } from '../../kernel/clock.ts';
import { CaissonError, toCaissonError } from '../../kernel/errors.ts';
import {
  terminalBounds,
  type TerminalDownMessage,
  type TerminalUpMessage,
  terminalUpMessageSchema,
} from '../../wire/contract/terminals.ts';
import {
  controlFrame,
  emptyBytesFrame,
  offsetBytes,
  TerminalFrameReader,
  writeOffset,
} from '../../wire/terminal-frames.ts';
import { parseInput } from '../inward-call.ts';
import type { OutputRing } from './output-ring.ts';
import type { PtyExit } from './pty.ts';

/** Who takes nothing for so long, with output waiting, no longer keeps the program waiting. */
const stalledMs = 30_000;

/** How far into old output a line end is looked for, so that a reader does not begin inside a line. */
const lineSearchBytes = 4 * 1024;

/** Input above the client's window that is put up with: what was on its way. */
const mostUnaccepted = 4 * terminalBounds.inputWindowBytes;
/** So often is a client told what was accepted. */
const acceptEveryBytes = terminalBounds.inputWindowBytes / 4;

type Situation = Extract<TerminalDownMessage, { type: 'situation' }>;

export interface ReaderOptions {
  readonly id: number;
  readonly token: string;
  readonly name: string;
  /** Undefined for all that is kept. */
  readonly after: number | undefined;
  readonly stream: ServerHttp2Stream;
  readonly ring: OutputRing;
  readonly clock: Clock;
  /** Input; `taken` is told how much of it was dealt with. */
  readonly onInput: (input: Buffer, taken: (bytes: number) => void) => void;
  readonly onRequest: (request: Exclude<TerminalUpMessage, { type: 'ack' }>) => void;
  /** It has taken output, so that more may be read. */
  readonly onProgress: () => void;
  readonly onLeave: () => void;
}

/**
 * One attachment. It goes through the ring at its own pace: at most a window of output is on its way to it, and where the
 * ring has overtaken it, it is told what it lost. Nothing is queued for it but the last situation.
 *
 * Modes: attached → finishing (the program has ended, its output goes out) → over; from each of the first two also at once,
 * when the stream closes or `end` is called.
 */
export class Reader {
  readonly id: number;
  readonly token: string;
  readonly name: string;
  readonly since: number;
  readonly #options: ReaderOptions;
  #mode: 'attached' | 'finishing' | 'over' = 'attached';
  /** Offset of the next byte that it gets. */
  #position: number;
  /** Output on its way, in bytes: what was sent less what was used. */
  #sentBytes = 0;
  #usedBytes = 0;
  #isBlocked = false;
  #situation: Situation | undefined;
  #taken = 0;
  #exit: PtyExit | undefined;
  #movedAt: number;
  #received = 0;
  #accepted = 0;
  #toldAccepted = 0;

  constructor(options: ReaderOptions) {
    const { id, token, name, after, stream, ring, clock } = options;
    this.#options = options;
    this.id = id;
    this.token = token;
    this.name = name;
    this.since = clock.now();
    this.#movedAt = clock.elapsed();
    const from = after ?? 0;
    this.#position = from;
    const frames = new TerminalFrameReader('BAD_REQUEST');
    stream.on('data', (chunk: Buffer) => this.#take(chunk, frames));
    stream.once('end', () => stream.end());
    stream.once('close', () => {
      this.#mode = 'over';
      options.onLeave();
    });
    stream.on('drain', () => {
      this.#isBlocked = false;
      this.#progress();
    });
    stream.respond({ ':status': 200, 'content-type': 'application/octet-stream' });
    this.#send({ type: 'attached', reader: id, from, end: ring.end });
  }

  /** Output that it has still to be sent. */
  get backlog(): number {
    return this.#options.ring.end - this.#position;
  }

  /** Whether the program waits for it. */
  get isFollowing(): boolean {
    return this.#mode === 'attached' && this.#options.clock.elapsed() - this.#movedAt < stalledMs;
  }

  /** Sends what there is and what its window takes. */
  deliver(): void {
    const { ring, clock } = this.#options;
    if (this.#mode === 'over') return;
    if (this.backlog === 0) this.#movedAt = clock.elapsed(); // it waits for us, not we for it
    if (this.#situation !== undefined && !this.#isBlocked) {
      const situation = this.#situation;
      this.#situation = undefined;
      this.#send(situation);
    }
    while (!this.#isBlocked && this.backlog > 0) {
      const room = terminalBounds.readWindowBytes - (this.#sentBytes - this.#usedBytes);
      if (room <= 0) return;
      if (this.#position < ring.start) this.#skip();
      const length = Math.min(this.backlog, room, terminalBounds.outputChunkBytes);
      const { frame, payload } = emptyBytesFrame(offsetBytes + length);
      writeOffset(payload, this.#position);
      ring.copy(this.#position, payload.subarray(offsetBytes));
      this.#position += length;
      this.#sentBytes += length;
      this.#movedAt = clock.elapsed();
      this.#write(frame);
    }
    if (this.#mode === 'finishing' && this.backlog === 0 && this.#exit !== undefined) {
      this.#send({ type: 'exited', ...this.#exit });
      this.#close();
    }
  }

  /** Only the last one counts, should it be slow. */
  tell(situation: Omit<Situation, 'type' | 'taken'>): void {
    this.#situation = { type: 'situation', ...situation, taken: this.#taken };
    if (!this.#isBlocked) this.deliver();
  }

  /** Ends it when all output has been sent. */
  finish(exit: PtyExit): void {
    if (this.#mode === 'over') return;
    this.#mode = 'finishing';
    this.#exit = exit;
    this.deliver();
  }

  /** Ends it now. */
  end(reason: CaissonError): void {
    if (this.#mode === 'over') return;
    this.#send({ type: 'ended', error: reason.toJSON() });
    this.#close();
  }

  #close(): void {
    this.#mode = 'over';
    this.#options.stream.end();
    this.#options.stream.resume(); // what still comes has no reader
    this.#options.onLeave();
  }

  /** What it should get next is gone: it goes on with the oldest line that is kept. */
  #skip(): void {
    const { ring } = this.#options;
    const from = this.#position;
    const searched = Buffer.alloc(Math.min(lineSearchBytes, ring.end - ring.start));
    ring.copy(ring.start, searched);
    this.#position = ring.start + searched.indexOf(0x0a) + 1; // at the very start where there is no line end
    this.#send({ type: 'lost', from, to: this.#position });
  }

  #take(chunk: Buffer, frames: TerminalFrameReader): void {
    if (this.#mode === 'over') return;
    try {
      for (const { kind, payload } of frames.read(chunk)) {
        if (kind === 'bytes') this.#input(payload);
        else this.#obey(parseInput(terminalUpMessageSchema, JSON.parse(payload.toString()), 'message of a terminal'));
      }
    } catch (thrown) {
      const known = thrown instanceof SyntaxError ? new CaissonError('BAD_REQUEST', 'A message is no JSON.') : thrown;
      this.end(toCaissonError(known));
    }
  }

  #input(payload: Buffer): void {
    this.#received += payload.length;
    if (this.#received - this.#accepted > mostUnaccepted) {
      throw new CaissonError('LIMIT_REACHED', 'The program does not take its input, and more of it came than is kept.');
    }
    this.#options.onInput(payload, this.#accept);
  }

  /** One function for all input, so that what waits of it can be put together. */
  readonly #accept = (bytes: number): void => {
    this.#accepted += bytes;
    if (this.#accepted - this.#toldAccepted < acceptEveryBytes || this.#mode === 'over') return;
    this.#toldAccepted = this.#accepted;
    this.#send({ type: 'accepted', bytes: this.#accepted });
  };

  #obey(message: TerminalUpMessage): void {
    if (message.type === 'take') this.#taken++;
    if (message.type !== 'ack') return this.#options.onRequest(message);
    if (message.bytes > this.#sentBytes)
      throw new CaissonError('BAD_REQUEST', 'Output was acknowledged that was not sent.');
    if (message.bytes <= this.#usedBytes) return;
    this.#usedBytes = message.bytes;
    this.#progress();
  }

  #progress(): void {
    this.#movedAt = this.#options.clock.elapsed();
    this.deliver();
    this.#options.onProgress();
  }

  #send(message: TerminalDownMessage): void {
    this.#write(controlFrame(message));
  }

  #write(frame: Buffer): void {
    const { stream } = this.#options;
    if (stream.destroyed || stream.writableEnded) return;
    if (!stream.write(frame)) this.#isBlocked = true;
  }
}
