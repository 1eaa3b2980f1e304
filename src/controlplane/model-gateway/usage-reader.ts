import type { LineKind, ModelApi } from './apis/model-api.ts';
import { mergeCounts, type TokenCounts } from './token-counts.ts';

/** The longest line or body that is looked into; a longer one passes all the same, and tells nothing. */
const lookLimit = 4 * 1024 * 1024;
/** What a delta's event holds besides what the model says: names, places, padding. */
const deltaFrameBytes = 256;
const newline = 10;
const carriageReturn = 13;

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
  /** Of the line that is being read. */
  #line: LineKind | 'unknown' = 'unknown';

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
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(newline, start);
      const part = chunk.subarray(start, end === -1 ? chunk.length : end);
      this.#readPart(part, end !== -1);
      if (end === -1) break;
      start = end + 1;
      if (this.#isBetweenEvents) this.#eventEnd = start;
    }
    if (start < chunk.length) this.#isBetweenEvents = false;
  }

  /** The answer is over. */
  end(): void {
    if (this.isEventStream) return;
    this.#report(parseJson(this.#take()));
  }

  #readPart(part: Buffer, isLineEnd: boolean): void {
    this.#lineBytes += part.length;
    if (this.#line === 'unknown' || this.#line === 'report') this.#keep(part);
    if (this.#line === 'unknown' && (isLineEnd || this.#keptBytes >= this.#api.peekBytes)) {
      this.#line = this.#kindOfLine();
      if (this.#line !== 'report') this.#take();
    }
    if (!isLineEnd) return;
    if (this.#line === 'report') this.#readReport(this.#take());
    if (this.#line === 'delta') this.#outputEstimate += tokensOfDelta(this.#lineBytes);
    this.#isBetweenEvents = this.#lineBytes === 0 || (this.#lineBytes === 1 && part[0] === carriageReturn);
    this.#line = 'unknown';
    this.#lineBytes = 0;
  }

  #kindOfLine(): LineKind {
    const line = this.#kept.length === 1 ? (this.#kept[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#kept);
    const head = line.toString('latin1', 0, Math.min(line.length, this.#api.peekBytes));
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
    this.#kept = [];
    this.#keptBytes = 0;
    return text;
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
