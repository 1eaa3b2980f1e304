import type { Page, PageRequest } from '../../agents/ports.ts';
import type { UserId } from '../../kernel/ids.ts';
import type { ChainHead } from './chain.ts';
import type { AuditCall, AuditRecord, SealedRecord } from './record.ts';

/** What a search looks for: all that is named must match. */
export interface AuditFilter {
  readonly userId?: UserId | undefined;
  readonly agentId?: string | undefined;
  readonly action?: string | undefined;
  /** Milliseconds since the epoch, inclusive. */
  readonly since?: number | undefined;
  /** The same, exclusive. */
  readonly until?: number | undefined;
}

/** A row as it lies there, whether or not it is what was written. */
export interface StoredLink extends ChainHead {
  /** What the row is found by: `at`, `userId`, `agentId` and `action` as canonical JSON. */
  readonly keys: string;
  readonly body: string;
}

/** A call that has begun, and of which nothing more is known. */
export interface OpenCall {
  readonly id: number;
  readonly at: number;
  readonly call: AuditCall;
}

/** One append: all of it or nothing. */
export interface AuditBatch {
  /** Calls that begin. */
  readonly opens: readonly OpenCall[];
  /** In the order of their `seq`. */
  readonly records: readonly SealedRecord[];
  /** Calls that are no longer open, maybe of those that begin. */
  readonly closes: readonly number[];
  /** Forgets the records up to this one. */
  readonly pruneThrough: number | null;
}

/** What is known of the clock, over all processes: what it said once, and for how long one has run since. Milliseconds. */
export interface ClockWatch {
  readonly at: number;
  readonly ranMs: number;
}

/** Where the audit is kept. Records can be added, and pruned from the oldest on; nothing changes one. */
export interface AuditStore {
  /**
   * The last record that was appended, whatever has become of its row; undefined before the first. Where rows lie behind it
   * that were not appended here, the `seq` is that of the last of them: the chain goes on behind them, and does not fit.
   */
  head(): Promise<ChainHead | undefined>;
  /** Asks for the batch when the transaction has its turn; never at the same time for another. */
  append(take: () => AuditBatch): Promise<void>;
  listOpen(): Promise<readonly OpenCall[]>;
  /** Rows whose `seq` is higher, oldest first. */
  readLinks(after: number, limit: number): Promise<readonly StoredLink[]>;
  /** The `body` of the newest record of this action. */
  findLastBody(action: string): Promise<string | undefined>;
  /** Newest first. A page may show fewer than its limit, or none, and yet name a next one: each looks at a bounded stretch. */
  search(filter: AuditFilter, page: PageRequest): Promise<Page<AuditRecord>>;
  /**
   * The last of the oldest records that were over before `time`, of which there is no newer one among them; at most `limit`
   * of them. Undefined where there is none.
   */
  lastBefore(time: number, limit: number): Promise<ChainHead | undefined>;
  /** As it was noted last. */
  clockWatch(): Promise<ClockWatch | undefined>;
  noteClockWatch(watch: ClockWatch): Promise<void>;
}
