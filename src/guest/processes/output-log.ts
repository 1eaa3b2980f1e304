import type { OutputStream } from '../../wire/output-frames.ts';

/** Bytes of one output that came one after the other. */
interface Run {
  readonly stream: OutputStream;
  /** Of the byte at `from`. */
  offset: number;
  bytes: Buffer;
  from: number;
  to: number;
  /** Whether `bytes` is the log's own, so that small pieces can be put behind. */
  readonly isOwn: boolean;
}

interface LogPiece {
  readonly stream: OutputStream;
  readonly data: Buffer;
}

interface LogRead {
  /** Bytes that are gone between the place that was asked for and the first piece. */
  readonly lost: number;
  readonly pieces: readonly LogPiece[];
  /** Where to read on. */
  readonly next: number;
}

/** A chunk from this size on is kept as it is; smaller ones are put together, so that a byte costs about a byte. */
const wholeChunkBytes = 4 * 1024;
const largestOwnBytes = 32 * 1024;
/** How often the output may change between the streams, for each byte of the limit: each change costs some 200 bytes. */
const bytesPerRun = 256;
const fewestRuns = 64;

/**
 * The last bytes of a process's two outputs in the order in which they came, under one count: the offset of a byte is how
 * many came before it on either. Adding never fails and never waits: what is oldest goes, and a reader that still
 * wanted it is told how much that was.
 */
export class OutputLog {
  readonly #limit: number;
  readonly #maxRuns: number;
  readonly #runs: Run[] = [];
  #end = 0;
  #bytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
    this.#maxRuns = Math.max(fewestRuns, Math.floor(limit / bytesPerRun));
  }

  /** The offset of the first byte that is kept. */
  get start(): number {
    return this.#end - this.#bytes;
  }

  /** The offset that the next byte will have. */
  get end(): number {
    return this.#end;
  }

  /** How many are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  push(stream: OutputStream, chunk: Buffer): void {
    if (chunk.length === 0) return;
    const last = this.#runs.at(-1);
    if (last?.stream === stream && last.isOwn && chunk.length < wholeChunkBytes && append(last, chunk)) {
      // it has gone behind the last
    } else {
      const isOwn = chunk.length < wholeChunkBytes;
      const bytes = isOwn ? Buffer.from(chunk) : chunk;
      this.#runs.push({ stream, offset: this.#end, bytes, from: 0, to: chunk.length, isOwn });
    }
    this.#end += chunk.length;
    this.#bytes += chunk.length;
    if (this.#bytes > this.#limit) this.drop(this.#bytes - this.#limit);
    while (this.#runs.length > this.#maxRuns) this.drop(length(this.#runs[0]));
  }

  /** Forgets the oldest `count` bytes. */
  drop(count: number): void {
    let left = Math.min(count, this.#bytes);
    this.#bytes -= left;
    for (let run = this.#runs[0]; run !== undefined && left > 0; run = this.#runs[0]) {
      const taken = Math.min(left, length(run));
      left -= taken;
      run.from += taken;
      run.offset += taken;
      if (run.from === run.to) this.#runs.shift();
    }
  }

  /** From `after` on, at most about `maxBytes`. `after` must not lie behind the end. */
  read(after: number, maxBytes: number): LogRead {
    const from = Math.max(after, this.start);
    const pieces: LogPiece[] = [];
    let next = from;
    for (let at = this.#indexOf(from); at < this.#runs.length && next - from < maxBytes; at++) {
      const run = this.#runs[at];
      if (run === undefined) break;
      const begin = run.from + (next - run.offset);
      const end = Math.min(run.to, begin + maxBytes - (next - from));
      pieces.push({ stream: run.stream, data: run.bytes.subarray(begin, end) });
      next += end - begin;
    }
    return { lost: from - after, pieces, next };
  }

  /** The first run that holds the byte at `offset`, or comes after it. */
  #indexOf(offset: number): number {
    let low = 0;
    let high = this.#runs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const run = this.#runs[middle];
      if (run !== undefined && run.offset + length(run) <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function length(run: Run | undefined): number {
  return run === undefined ? 0 : run.to - run.from;
}

/** False where the run would become too large. What readers were given of it stays as it is. */
function append(run: Run, chunk: Buffer): boolean {
  const needed = run.to + chunk.length;
  if (needed > largestOwnBytes) return false;
  if (needed > run.bytes.length) {
    const grown = Buffer.allocUnsafeSlow(Math.min(largestOwnBytes, Math.max(256, 2 * needed)));
    run.bytes.copy(grown, 0, 0, run.to);
    run.bytes = grown;
  }
  chunk.copy(run.bytes, run.to);
  run.to = needed;
  return true;
}
