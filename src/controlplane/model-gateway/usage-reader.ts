import type { LineKind, ModelApi } from './apis/model-api.ts';
import { mergeCounts, type TokenCounts } from './token-counts.ts';

/** The longest line or body that is looked into; a longer one passes all the same, and tells nothing. */
const lookLimit = 4 * 1024 * 1024;
/** What a delta's event holds besides what the model says: names, places, padding. */
const deltaFrameBytes = 256;
const newline = 10;
const carriageReturn = 13;

/** What of a chunk lies in one line, its newline left out. */
interface LinePart {
  readonly start: number;
  readonly end: number;
  readonly isLineEnd: boolean;
}

/**
 * Reads a model service's answer as it passes by, without holding it up, and remembers what it tells of the call. Takes
 * server-sent events or one JSON body. Keeps nothing but the line or body that may tell the usage: at most 4 MiB.
 */
export class UsageReader {
  /** Whether the answer is a stream of events. */
  readonly isEventStream: boolean;
  readonly #api: ModelApi;
  #model: string | null = null;
  #tokens: TokenCounts | null = null;
  #ending: 'whole' | 'failed' | undefined;
  #outputEstimate = 0;
  /** What of it had been written when the service told its usage last. */
  #estimateAtTelling = 0;
  #eventEnd = -1;
  #isBetweenEvents = true;
  #event = '';
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #lineBytes = 0;
  /** Of the line that is being read; so is the next one. */
  #line: LineKind | 'unknown' = 'unknown';
  #isBlank = true;

  constructor(api: ModelApi, contentType: string | undefined) {
    this.#api = api;
    this.isEventStream = contentType?.startsWith('text/event-stream') ?? false;
  }

  /** The model that answers, as the service names it. */
  get model(): string | null {
    return this.#model;
  }

  /**
   * Null as long as none were told. What was told at the beginning, as Anthropic does, or in the middle, is no more than that: what
   * the model has written since is added, by its size (`isToldWhole`).
   */
  get tokens(): TokenCounts | null {
    if (this.#tokens === null || this.isToldWhole) return this.#tokens;
    return { ...this.#tokens, output: this.#tokens.output + this.#outputEstimate - this.#estimateAtTelling };
  }

  /** Whether the model has written nothing since its tokens were told. */
  get isToldWhole(): boolean {
    return this.#outputEstimate === this.#estimateAtTelling;
  }

  /** Undefined while the answer goes on: its last event has not been seen. */
  get ending(): 'whole' | 'failed' | undefined {
    return this.#ending;
  }

  /** What the model has written so far, in tokens, by the size of its deltas: at least one each; or what the service tells meanwhile. */
  get outputEstimate(): number {
    return Math.max(this.#outputEstimate, this.tokens?.output ?? 0);
  }

  /** Where in the chunk that was read last its last whole event ends; -1 where none ends in it. */
  get eventEnd(): number {
    return this.#eventEnd;
  }

  /** Whether the chunk that was read last ended with a whole event. */
  get isBetweenEvents(): boolean {
    return this.#isBetweenEvents;
  }

  read(chunk: Buffer): void {
    if (!this.isEventStream) {
      this.#keep(chunk);
      return;
    }
    this.#eventEnd = -1;
    for (let start = 0; start < chunk.length;) {
      const found = chunk.indexOf(newline, start);
      const end = found === -1 ? chunk.length : found;
      this.#readPart(chunk, { start, end, isLineEnd: found !== -1 });
      start = end + 1;
      if (found === -1) this.#isBetweenEvents = false;
      else if (this.#isBetweenEvents) this.#eventEnd = start;
    }
  }

  /** The answer is over. */
  end(): void {
    if (this.isEventStream) return;
    this.#report(parseJson(this.#take()));
  }

  #readPart(chunk: Buffer, { start, end, isLineEnd }: LinePart): void {
    const bytes = end - start;
    this.#isBlank &&= bytes === 0 || (this.#lineBytes === 0 && bytes === 1 && chunk[start] === carriageReturn);
    if (isLineEnd && this.#lineBytes === 0 && bytes <= lookLimit) this.#readLine(chunk, start, end);
    else this.#readLineOn(chunk.subarray(start, end), isLineEnd);
    this.#lineBytes += bytes;
    if (!isLineEnd) return;
    if (this.#line === 'delta') this.#outputEstimate += tokensOfDelta(this.#lineBytes);
    this.#isBetweenEvents = this.#isBlank;
    this.#line = 'unknown';
    this.#lineBytes = 0;
    this.#isBlank = true;
  }

  /** A line that came in one piece, as most do: nothing of it is kept, and no more made of it than tells its kind. */
  #readLine(chunk: Buffer, start: number, end: number): void {
    if (this.#isBlank) return;
    this.#line = this.#kindOfLine(chunk.toString('latin1', start, Math.min(end, start + this.#api.peekBytes)));
    if (this.#line === 'report') this.#readReport(chunk.toString('utf8', start, end));
  }

  /** A line that comes in several. */
  #readLineOn(part: Buffer, isLineEnd: boolean): void {
    if (this.#line === 'unknown' || this.#line === 'report') this.#keep(part);
    if (this.#line === 'unknown' && (isLineEnd || this.#keptBytes >= this.#api.peekBytes)) {
      const line = this.#kept.length === 1 ? (this.#kept[0] ?? part) : Buffer.concat(this.#kept);
      this.#line = this.#kindOfLine(line.toString('latin1', 0, Math.min(line.length, this.#api.peekBytes)));
      if (this.#line !== 'report') this.#letGo();
    }
    if (isLineEnd && this.#line === 'report') this.#readReport(this.#take());
  }

  /** `head`: what shows it, of the line. */
  #kindOfLine(head: string): LineKind {
    if (head.startsWith('event:')) {
      this.#event = head.slice('event:'.length).trim();
      return 'other';
    }
    if (!head.startsWith('data:')) return 'other';
    const kind = this.#api.lineKind(head, this.#event);
    this.#event = '';
    return kind;
  }

  #readReport(line: string): void {
    const text = line.slice('data:'.length).trim();
    const data = parseJson(text) ?? text;
    this.#ending ??= this.#api.ending(data);
    this.#report(data);
  }

  #report(data: unknown): void {
    const report = this.#api.report(data);
    if (report === undefined) return;
    this.#model ??= report.model;
    this.#tokens = mergeCounts(this.#tokens, report.tokens);
    if (report.tokens !== null) this.#estimateAtTelling = this.#outputEstimate;
  }

  #keep(part: Buffer): void {
    if (this.#keptBytes > lookLimit) return;
    this.#keptBytes += part.length;
    if (this.#keptBytes > lookLimit) this.#kept = [];
    else this.#kept.push(part);
  }

  #take(): string {
    const text = this.#kept.length === 0 ? '' : Buffer.concat(this.#kept).toString();
    this.#letGo();
    return text;
  }

  #letGo(): void {
    this.#kept = [];
    this.#keptBytes = 0;
  }
}

function tokensOfDelta(bytes: number): number {
  return Math.max(1, Math.ceil((bytes - deltaFrameBytes) / 4));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined; // no schema accepts it
  }
}
