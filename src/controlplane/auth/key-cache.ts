import type { Principal } from './identity.ts';

export interface CachedKey {
  readonly principal: Principal;
  /** When the use of the key was last recorded, in milliseconds since the epoch. */
  touchedAt: number;
  /** Of the key; null: never. */
  readonly expiresAt: number | null;
  /** After how long without use it is over; null: never. */
  readonly idleMs: number | null;
}

/** Enough for every key that is in use at the same time; the ones used longest ago go first. */
const entryLimit = 1_024;

/**
 * Live keys by their hash, so that a call costs no look into the store. An entry is good for `maxAgeMs`: that is how long
 * a revocation by another process may take. One by this process is immediate: `clear` also stops those answers of the
 * store from being remembered that were on their way.
 */
export class KeyCache {
  readonly #entries = new Map<string, { readonly key: CachedKey; readonly until: number }>();
  readonly #maxAgeMs: number;
  #generation = 0;

  constructor(maxAgeMs: number) {
    this.#maxAgeMs = maxAgeMs;
  }

  get generation(): number {
    return this.#generation;
  }

  find(hash: string, now: number): CachedKey | undefined {
    const entry = this.#entries.get(hash);
    if (entry === undefined) return undefined;
    this.#entries.delete(hash);
    if (entry.until <= now) return undefined;
    this.#entries.set(hash, entry);
    return entry.key;
  }

  /** Remembers what the store said, unless a key has ended since `generation`. */
  remember(
    hash: string,
    key: CachedKey,
    { now, generation }: { readonly now: number; readonly generation: number },
  ): void {
    if (generation !== this.#generation) return;
    this.#entries.set(hash, { key, until: now + this.#maxAgeMs });
    if (this.#entries.size <= entryLimit) return;
    const oldest = this.#entries.keys().next();
    if (!oldest.done) this.#entries.delete(oldest.value);
  }

  clear(): void {
    this.#generation += 1;
    this.#entries.clear();
  }
}
