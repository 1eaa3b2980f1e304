import type { WatchChange, WatchItem } from '../../wire/contract/files.ts';

/** Changes that are kept for watchers that come back, or are slow. */
const ringSize = 8_192;
/** In one item. */
const batchSize = 256;

/** Numbered changes, the last 8,192 of them. A cursor is the ring's name and the number of the last change that was seen. */
export class ChangeRing {
  readonly #name: string;
  readonly #changes: WatchChange[] = [];
  /** Number of the change at the beginning of `#changes`. */
  #first = 1;

  constructor(name: string) {
    this.#name = name;
  }

  /** The number of the newest change. */
  get last(): number {
    return this.#first + this.#changes.length - 1;
  }

  push(changes: readonly WatchChange[]): void {
    this.#changes.push(...changes);
    const excess = this.#changes.length - ringSize;
    // Cut rarely, and much at once: to cut moves all that is kept.
    if (excess < ringSize / 2) return;
    this.#changes.splice(0, excess);
    this.#first += excess;
  }

  /** Something changed that is not known: whoever has not read all by now is told so. */
  lose(): void {
    this.#first = this.last + 2;
    this.#changes.length = 0;
  }

  cursor(seq: number): string {
    return `${this.#name}.${seq}`;
  }

  /** The number in a cursor of this ring from which on nothing is missing; else undefined. */
  resume(cursor: string | null): number | undefined {
    const [, name, seq] = /^([0-9a-f]+)\.(\d{1,15})$/.exec(cursor ?? '') ?? [];
    if (name !== this.#name) return undefined;
    const after = Number(seq);
    return after >= this.#first - 1 && after <= this.last ? after : undefined;
  }

  /** The next changes after `seq`, or an overflow where they are no longer here; undefined when there are none. */
  next(seq: number): { readonly item: WatchItem; readonly seq: number } | undefined {
    if (seq >= this.last) return undefined;
    if (seq < this.#first - 1) {
      return { item: { type: 'overflow', cursor: this.cursor(this.last) }, seq: this.last };
    }
    const from = seq - this.#first + 1;
    const changes = this.#changes.slice(from, from + batchSize);
    const reached = seq + changes.length;
    return { item: { type: 'changes', cursor: this.cursor(reached), changes }, seq: reached };
  }
}
