import type { HarnessSink } from '../acp/harness.ts';
import type { Clock } from '../kernel/clock.ts';
import { CaissonError } from '../kernel/errors.ts';
import { jsonTextBytes } from '../kernel/json-text.ts';
import { maxJournalLineBytes } from '../wire/contract/guest-api.ts';
import type { JournalBody } from '../wire/contract/journal-entry.ts';
import { isMergeable, mergeBodies } from './coalescing.ts';
import { fitBody } from './fitting/fit-body.ts';

export interface JournalOptions {
  readonly clock: Clock;
  /** Above this, `room` waits. Default 16 MiB of JSON. */
  readonly maxBytes?: number;
  /** Bound of one entry. Default: the contract's. */
  readonly maxLineBytes?: number;
}

/** What a reader hears. Both are called from within the journal's calls and must only take note. */
export interface JournalListener {
  /** There is something to take. What is not urgent may be taken some milliseconds later, with what follows. */
  available(isUrgent: boolean): void;
  /** Another reader took the place; `take` gives nothing any more. */
  displaced(): void;
}

export interface JournalReader {
  /** The next entries as lines of JSON, up to about `maxBytes`, at least one; empty when there is none yet. */
  take(maxBytes: number): string;
  detach(): void;
}

/** An entry as it will be sent, or one that may still grow because no reader has had it. */
type Slot =
  | { readonly line: string; readonly bytes: number }
  | { readonly line: undefined; readonly seq: number; readonly at: number; body: JournalBody; bytes: number };

/**
 * Everything the harness says, numbered from 1 without gaps and kept until it is acknowledged. Drops nothing: `append`
 * never refuses, and `room` waits while the journal is full. What is larger than the contract allows is split or
 * shortened, with a mark in it. An entry that a reader has had never changes; one that no reader has had takes up the
 * deltas that directly follow it, so a slow wire carries fewer and larger entries.
 */
export class Journal implements HarnessSink {
  readonly #clock: Clock;
  readonly #maxBytes: number;
  readonly #maxLineBytes: number;
  /** Entry `#acknowledged + 1 + i` is at index i. */
  readonly #slots: Slot[] = [];
  #isSealed = false;
  #acknowledged = 0;
  #bytes = 0;
  #reader: { readonly listener: JournalListener; taken: number } | undefined;
  #room: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  constructor(options: JournalOptions) {
    this.#clock = options.clock;
    this.#maxBytes = options.maxBytes ?? 16 * 1024 * 1024;
    this.#maxLineBytes = options.maxLineBytes ?? maxJournalLineBytes;
  }

  get head(): number {
    return this.#acknowledged + this.#slots.length;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Of the entries that are not acknowledged, as JSON. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether a control plane takes what is appended. */
  get isRead(): boolean {
    return this.#reader !== undefined;
  }

  get full(): boolean {
    return this.#bytes > this.#maxBytes;
  }

  /** Nothing is recorded from now on. */
  seal(): void {
    this.#isSealed = true;
  }

  append(body: JournalBody): void {
    if (this.#isSealed) return;
    for (const fitted of fitBody(body)) if (!this.#grow(fitted)) this.#push(fitted);
    this.#reader?.listener.available(isUrgent(body));
  }

  room(): Promise<void> | undefined {
    if (!this.full) return undefined;
    if (this.#room === undefined) {
      let resolve = (): void => undefined;
      const promise = new Promise<void>((settle) => (resolve = settle));
      this.#room = { promise, resolve };
    }
    return this.#room.promise;
  }

  /** Forgets the entries up to `seq`. Older numbers are no error. BAD_REQUEST for a number that was never given out. */
  acknowledge(seq: number): void {
    if (seq > this.head) throw outOfRange(`Entry ${seq} does not exist; the last is ${this.head}.`);
    if (seq <= this.#acknowledged) return;
    for (const slot of this.#slots.splice(0, seq - this.#acknowledged)) this.#bytes -= slot.bytes;
    this.#acknowledged = seq;
    if (this.#reader !== undefined) this.#reader.taken = Math.max(this.#reader.taken, seq);
    if (this.full) return;
    this.#room?.resolve();
    this.#room = undefined;
  }

  /** Takes the place of the reader before. BAD_REQUEST when entries after `after` are gone, or it is not reached yet. */
  attach(after: number, listener: JournalListener): JournalReader {
    if (after < this.#acknowledged || after > this.head) {
      throw outOfRange(
        `The journal holds entries ${this.#acknowledged + 1} to ${this.head}; it cannot go on after ${after}.`,
      );
    }
    const displaced = this.#reader?.listener;
    const reader = { listener, taken: after };
    this.#reader = reader;
    displaced?.displaced();
    return {
      take: (maxBytes) => (this.#reader === reader ? this.#take(reader, maxBytes) : ''),
      detach: () => {
        if (this.#reader === reader) this.#reader = undefined;
      },
    };
  }

  #take(reader: { taken: number }, maxBytes: number): string {
    let lines = '';
    while (reader.taken < this.head && lines.length < maxBytes) {
      lines += this.#seal(reader.taken - this.#acknowledged);
      reader.taken++;
    }
    return lines;
  }

  /** Fixes an entry in the form in which it is sent, now and after every reconnect. */
  #seal(index: number): string {
    const slot = this.#slots[index];
    if (slot === undefined) throw new CaissonError('INTERNAL', `The journal has no entry at ${index}.`);
    if (slot.line !== undefined) return slot.line;
    const line = encode(slot.seq, slot.at, slot.body);
    const bytes = Buffer.byteLength(line);
    this.#bytes += bytes - slot.bytes;
    this.#slots[index] = { line, bytes };
    return line;
  }

  #grow(body: JournalBody): boolean {
    const last = this.#slots.at(-1);
    if (last === undefined || last.line !== undefined || !isMergeable(last.body)) return false;
    const merge = mergeBodies(last.body, body);
    if (merge === undefined) return false;
    const bytes = jsonTextBytes(merge.added);
    last.body = merge.body;
    last.bytes += bytes;
    this.#bytes += bytes;
    return true;
  }

  #push(body: JournalBody): void {
    const seq = this.head + 1;
    const at = this.#clock.now();
    let line = encode(seq, at, body);
    let bytes = Buffer.byteLength(line);
    if (bytes > this.#maxLineBytes && body.type === 'event') {
      line = encode(seq, at, { ...body, event: tooLarge(body.event.type, bytes) });
      bytes = Buffer.byteLength(line);
    } else if (isMergeable(body)) {
      this.#bytes += bytes;
      this.#slots.push({ line: undefined, seq, at, body, bytes });
      return;
    }
    this.#bytes += bytes;
    this.#slots.push({ line, bytes });
  }
}

/**
 * Nobody waits for a count of tokens; an end of a turn, which does, follows it. Nor for the news that a prompt is with the harness,
 * which is busy with it just then: what is done beside it holds it up.
 */
function isUrgent(body: JournalBody): boolean {
  return body.type === 'event' ? body.event.type !== 'usage.updated' : body.type !== 'turn.started';
}

function encode(seq: number, at: number, body: JournalBody): string {
  return `${JSON.stringify({ seq, at, body })}\n`;
}

/** The last resort: what is appended was made to fit the contract's own bound. */
function tooLarge(type: string, bytes: number): Extract<JournalBody, { type: 'event' }>['event'] {
  return { type: 'harness.other', sessionUpdate: 'caisson.entry_too_large', update: { type, bytes } };
}

function outOfRange(message: string): CaissonError {
  return new CaissonError('BAD_REQUEST', message, {
    hint: 'Ask the guest for its health, which names head and acknowledged.',
  });
}
