import type { Clock } from '../../kernel/clock.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { AuditBatch, AuditStore, OpenCall } from './audit-store.ts';
import { type ChainHead, genesis, seal } from './chain.ts';
import { type AuditCall, type AuditDraft, ofNobody, type SealedRecord } from './record.ts';

/** Within this time a record for which nobody waits is written, together with all that came meanwhile. */
export const writeWithinMs = 50;
/** How long after a failure it is tried again, unless somebody asks before: what could not be written, or whether it can. */
const retryMs = 1_000;
/** Records, and calls that begin, of one transaction: the event loop is not held longer than for these. */
const mostTogether = 256;
/** Calls under way and records that are not written yet. What is beyond is refused. */
export const mostWaiting = 10_000;

type Settled = PromiseWithResolvers<void>;

interface WaitingRecord {
  readonly draft: AuditDraft;
  readonly at: number;
  readonly closes: number | null;
  readonly pruneThrough: number | null;
  /** Undefined where nobody waits. */
  readonly done: Settled | undefined;
}

interface WaitingCall extends OpenCall {
  readonly done: Settled | undefined;
}

interface Taken {
  readonly records: readonly WaitingRecord[];
  readonly opens: readonly WaitingCall[];
  readonly closes: readonly number[];
}

/** How it stands with what is to be recorded. */
export interface AuditHealth {
  /** What was written last could not be, at most `retryMs` ago: until something can, calls that change something are refused. */
  readonly isFailing: boolean;
  /** Calls under way, and records that are not written yet; `mostWaiting` are too many. */
  readonly waiting: number;
}

/** Is never found: it is gone with the transaction that writes it. */
const probeCall: AuditCall = { ...ofNobody, action: 'audit.probe' };

interface AuditLogOptions {
  readonly store: Pick<AuditStore, 'append' | 'head'>;
  /** Resolves when all that is stored outlives a power cut. */
  readonly flushed: () => Promise<void>;
  readonly clock: Pick<Clock, 'now' | 'schedule'>;
  readonly logger: Logger;
}

/**
 * The one writer of the chain. Records are linked in the order in which they are given; those that wait share a transaction.
 * A record whose caller waits is written at once, and with it all before it; one for which nobody waits within `writeWithinMs`,
 * and is then flushed to the disk. A call that is over before its beginning was written has its record alone.
 *
 * Where the store fails, a caller who waits is told; the records are kept, in their order, and tried again, and until that
 * succeeds no call begins: AUDIT_UNAVAILABLE. Where none is left it is tried with a note that leaves nothing, so that `health` tells
 * of a store that writes again although nobody asks. The same refusal where `mostWaiting` are under way.
 */
export class AuditLog implements AsyncDisposable {
  readonly #options: AuditLogOptions;
  #head: ChainHead;
  #records: WaitingRecord[] = [];
  #opens = new Map<number, WaitingCall>();
  #closes: number[] = [];
  #lastId = 0;
  /** Calls that have begun and not ended. */
  #underWay = 0;
  #failure: unknown;
  #writing: Promise<void> | undefined;
  #cancelTimer: (() => void) | undefined;

  private constructor(options: AuditLogOptions, head: ChainHead) {
    this.#options = options;
    this.#head = head;
  }

  static async open(options: AuditLogOptions): Promise<AuditLog> {
    return new AuditLog(options, (await options.store.head()) ?? genesis);
  }

  /** The last record that was written. */
  get head(): ChainHead {
    return this.#head;
  }

  get health(): AuditHealth {
    return { isFailing: this.#failure !== undefined, waiting: this.#underWay + this.#records.length };
  }

  /** Notes a call that begins, and resolves with its number when that is written: so it is found after a crash. */
  async open(call: AuditCall): Promise<number> {
    this.#checkRoom();
    const done = Promise.withResolvers<void>();
    const id = this.#addOpen(call, done);
    void this.#write();
    await done.promise;
    return id;
  }

  /** The same for a call that need not wait; it is found after a crash from `writeWithinMs` on. */
  async openLater(call: AuditCall): Promise<number> {
    if (this.#failure !== undefined) return await this.#openAgain(call);
    this.#checkRoom();
    const id = this.#addOpen(call, undefined);
    this.#writeLater();
    return id;
  }

  /** @throws CaissonError AUDIT_UNAVAILABLE where nothing more can be recorded now, such as `call`, which will not be. */
  async checkOpen(call: AuditCall): Promise<void> {
    if (this.#failure === undefined) this.#checkRoom();
    else this.close(await this.#openAgain(call));
  }

  /** Ends a call of which nothing is to be recorded. */
  close(id: number): void {
    this.#underWay -= 1;
    if (this.#opens.delete(id)) return;
    this.#closes.push(id);
    this.#writeLater();
  }

  /** Resolves when the record is written; it is on the disk after the store's next flush. `closes`: a call that this ends. */
  async append(
    draft: AuditDraft,
    { closes, pruneThrough = null }: { readonly closes?: number; readonly pruneThrough?: number | null } = {},
  ): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#addRecord(draft, { closes, pruneThrough, done });
    void this.#write();
    await done.promise;
  }

  /** Nobody waits. */
  appendLater(draft: AuditDraft, { closes }: { readonly closes?: number } = {}): void {
    this.#addRecord(draft, { closes, pruneThrough: null, done: undefined });
    this.#writeLater();
  }

  /** Ends a call that an earlier control plane began. */
  async appendInterrupted(draft: AuditDraft, id: number): Promise<void> {
    this.#lastId = Math.max(this.#lastId, id);
    this.#underWay += 1;
    await this.append(draft, { closes: id });
  }

  /** Resolves when all that was given so far is written, or could not be. */
  async settled(): Promise<void> {
    await this.#write();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#write();
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const lost = this.#records.length;
    if (lost > 0) this.#options.logger.error({ lost, err: this.#failure }, 'records of the audit could not be written');
  }

  /** Nothing may be left of what failed: only a note that is taken tells that there is room for records again. */
  async #openAgain(call: AuditCall): Promise<number> {
    try {
      return await this.open(call);
    } catch (cause) {
      throw new CaissonError('AUDIT_UNAVAILABLE', 'The audit cannot be written.', { cause });
    }
  }

  #checkRoom(): void {
    if (this.#underWay + this.#records.length < mostWaiting) return;
    throw new CaissonError('AUDIT_UNAVAILABLE', `${mostWaiting} calls wait for their record in the audit.`);
  }

  #addOpen(call: AuditCall, done: Settled | undefined): number {
    this.#lastId += 1;
    this.#underWay += 1;
    this.#opens.set(this.#lastId, { id: this.#lastId, call, at: this.#options.clock.now(), done });
    return this.#lastId;
  }

  #addRecord(
    draft: AuditDraft,
    { closes, ...rest }: Pick<WaitingRecord, 'pruneThrough' | 'done'> & { readonly closes: number | undefined },
  ): void {
    if (closes === undefined) this.#checkRoom();
    else this.#underWay -= 1; // its place is the record's
    const isWritten = closes !== undefined && !this.#opens.delete(closes);
    this.#records.push({ draft, at: this.#options.clock.now(), closes: isWritten ? closes : null, ...rest });
  }

  /** After a failure also where there is nothing to write: whether something can be. */
  get #hasWork(): boolean {
    return this.#failure !== undefined || this.#records.length > 0 || this.#opens.size > 0 || this.#closes.length > 0;
  }

  get #isWaitedFor(): boolean {
    return (
      this.#records.some(({ done }) => done !== undefined) ||
      this.#opens.values().some(({ done }) => done !== undefined)
    );
  }

  /** Also where it is written sooner, by the way: the disk has to be asked for. */
  #writeLater(): void {
    const { clock, flushed } = this.#options;
    this.#cancelTimer ??= clock.schedule(this.#failure === undefined ? writeWithinMs : retryMs, () => {
      this.#cancelTimer = undefined;
      // A disk that fails ends the control plane, see `Storage.failed`.
      void this.#write().then(() => flushed().catch(() => undefined));
    });
  }

  #write(): Promise<void> {
    return (this.#writing ??= this.#writeAll());
  }

  async #writeAll(): Promise<void> {
    // Those that are asked for in the same turn come along.
    await Promise.resolve();
    let isWritten = true;
    while (isWritten ? this.#hasWork : this.#isWaitedFor) isWritten = await this.#writeBatch();
    this.#writing = undefined;
    if (this.#hasWork) this.#writeLater();
  }

  async #writeBatch(): Promise<boolean> {
    const { store, logger } = this.#options;
    let taken: Taken | undefined;
    let head = this.#head;
    try {
      // Not before the transaction has its turn: what comes until then comes along.
      await store.append(() => {
        taken = this.#take();
        const records: SealedRecord[] = [];
        for (const { draft, at } of taken.records) {
          const sealed = seal(head.hash, { ...draft, seq: head.seq + 1, at });
          head = { seq: head.seq + 1, hash: sealed.hash };
          records.push(sealed);
        }
        return batchOf(taken, records, this.#failure === undefined ? [] : [this.#probe()]);
      });
    } catch (thrown) {
      if (this.#failure === undefined) logger.error({ err: thrown }, 'the audit cannot be written');
      this.#failure = thrown;
      this.#giveBack(taken ?? this.#take(), thrown);
      return false;
    }
    if (this.#failure !== undefined) logger.info({}, 'the audit is written again');
    this.#failure = undefined;
    this.#head = head;
    for (const { done } of taken?.opens ?? []) done?.resolve();
    for (const { done } of taken?.records ?? []) done?.resolve();
    return true;
  }

  /** A call that begins and ends in one transaction: something to write that is not there afterwards. */
  #probe(): OpenCall {
    this.#lastId += 1;
    return { id: this.#lastId, call: probeCall, at: this.#options.clock.now() };
  }

  #take(): Taken {
    const records = this.#records.splice(0, mostTogether);
    const closes = this.#closes.splice(0, mostTogether);
    const opens = [...this.#opens.values().take(mostTogether)];
    for (const { id } of opens) this.#opens.delete(id);
    return { records, opens, closes };
  }

  /** Whoever waits is told. What has happened is kept; what has not may not. */
  #giveBack({ records, opens, closes }: Taken, reason: unknown): void {
    for (const { done } of [...opens, ...records]) done?.reject(reason);
    const refused = opens.filter(({ done }) => done !== undefined);
    this.#underWay -= refused.length;
    const kept = opens.filter(({ done }) => done === undefined).map((each) => [each.id, each] as const);
    this.#opens = new Map([...kept, ...this.#opens]);
    this.#closes = [...closes, ...this.#closes];
    const again = records.filter(({ pruneThrough }) => pruneThrough === null);
    this.#records = [...again.map((record) => ({ ...record, done: undefined })), ...this.#records];
  }
}

function batchOf(
  { records, opens, closes }: Taken,
  sealed: readonly SealedRecord[],
  probes: readonly OpenCall[],
): AuditBatch {
  const pruned = records.flatMap(({ pruneThrough }) => pruneThrough ?? []);
  return {
    opens: [...opens, ...probes],
    records: sealed,
    closes: [...closes, ...records.flatMap((record) => record.closes ?? []), ...probes.map(({ id }) => id)],
    pruneThrough: pruned.length === 0 ? null : Math.max(...pruned),
  };
}
