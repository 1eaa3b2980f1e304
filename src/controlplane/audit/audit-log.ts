import type { Clock } from '../../kernel/clock.ts';
import type { AuditStore } from './audit-store.ts';
import { type ChainHead, genesis, seal } from './chain.ts';
import type { AuditDraft, SealedRecord } from './record.ts';

interface Waiting {
  readonly draft: AuditDraft;
  readonly closes: number | null;
  readonly pruneThrough: number | null;
  readonly done: PromiseWithResolvers<void>;
}

/** Records of one transaction: the event loop is not held longer than for these. */
const mostTogether = 64;

/**
 * The one writer of the chain. Records are linked in the order in which they are given, and those that wait while others are
 * written share the next transaction. Waiting are no more than there are calls under way, which the server bounds. An append
 * that fails has added nothing, and the chain goes on from where it was.
 */
export class AuditLog {
  readonly #store: AuditStore;
  readonly #clock: Pick<Clock, 'now'>;
  #head: ChainHead;
  #waiting: Waiting[] = [];
  #isWriting = false;

  private constructor(store: AuditStore, clock: Pick<Clock, 'now'>, head: ChainHead) {
    this.#store = store;
    this.#clock = clock;
    this.#head = head;
  }

  static async open(store: AuditStore, clock: Pick<Clock, 'now'>): Promise<AuditLog> {
    return new AuditLog(store, clock, (await store.head()) ?? genesis);
  }

  /** The last record that was written. */
  get head(): ChainHead {
    return this.#head;
  }

  /** Resolves when the record is written; it is on the disk after the store's next flush. `closes`: an open call that this ends. */
  append(
    draft: AuditDraft,
    {
      closes = null,
      pruneThrough = null,
    }: { readonly closes?: number | null; readonly pruneThrough?: number | null } = {},
  ): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#waiting.push({ draft, closes, pruneThrough, done });
    if (!this.#isWriting) void this.#write();
    return done.promise;
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    // Those that are asked for in the same turn come along.
    await Promise.resolve();
    for (let batch = this.#waiting.splice(0, mostTogether); batch.length > 0;) {
      await this.#writeBatch(batch);
      batch = this.#waiting.splice(0, mostTogether);
    }
    this.#isWriting = false;
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<void> {
    const records: SealedRecord[] = [];
    let { seq, hash } = this.#head;
    const at = this.#clock.now();
    for (const { draft } of batch) {
      seq += 1;
      const sealed = seal(hash, { ...draft, seq, at });
      ({ hash } = sealed);
      records.push(sealed);
    }
    const pruned = batch.flatMap(({ pruneThrough }) => pruneThrough ?? []);
    try {
      await this.#store.append({
        records,
        closes: batch.flatMap(({ closes }) => closes ?? []),
        pruneThrough: pruned.length === 0 ? null : Math.max(...pruned),
      });
      this.#head = { seq, hash };
      for (const { done } of batch) done.resolve();
    } catch (thrown) {
      for (const { done } of batch) done.reject(thrown);
    }
  }
}
