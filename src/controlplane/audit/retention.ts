import type { Clock } from '../../kernel/clock.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { AuditLog } from './audit-log.ts';
import type { AuditStore, ClockWatch } from './audit-store.ts';
import { pruneAction } from './record.ts';

interface RetentionOptions {
  readonly log: AuditLog;
  readonly store: Pick<AuditStore, 'lastBefore' | 'clockWatch' | 'noteClockWatch'>;
  readonly keepMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

const byItself = {
  userId: null,
  userName: null,
  keyId: null,
  agentId: null,
  targets: [],
  address: null,
  requestId: null,
  outcome: 'ok',
  count: 1,
  durationMs: 0,
} as const;

const everyMs = 3_600_000;
/** How much of an hour `kill -9` can take. */
const noteEveryMs = 300_000;
/** Records that are forgotten in one transaction. */
const mostTogether = 2_000;

/**
 * Forgets records that are older than `keepMs`, oldest first, once in an hour of running, over all processes. What is forgotten
 * does not come back, so a clock that is ahead is believed only when it was so an hour of running before as well. Each time it leaves an anchor in the chain, which
 * says up to which record the chain was forgotten, and with which hash the rest goes on: so what is left can be verified.
 * While somebody walks the chain (`hold`) nothing is forgotten.
 */
export class Retention implements AsyncDisposable {
  readonly #options: RetentionOptions;
  #held = 0;
  #cancel: (() => void) | undefined;
  #pruning: Promise<void> = Promise.resolve();
  #isOver = false;
  /** Of the last look, up to `#notedAt` on the clock that does not jump. */
  #watch: ClockWatch;
  #notedAt: number;

  private constructor(options: RetentionOptions, watch: ClockWatch) {
    this.#options = options;
    this.#watch = watch;
    this.#notedAt = options.clock.elapsed();
  }

  static async open(options: RetentionOptions): Promise<Retention> {
    return new Retention(options, (await options.store.clockWatch()) ?? { at: options.clock.now(), ranMs: 0 });
  }

  start(): void {
    this.#cancel?.();
    if (this.#isOver) return;
    const left = everyMs - this.#watchNow().ranMs;
    this.#cancel = this.#options.clock.schedule(left > 0 ? Math.min(left, noteEveryMs) : noteEveryMs, () => {
      if (this.#watchNow().ranMs >= everyMs) void this.look();
      else void this.#note();
      this.start();
    });
  }

  /** Prunes now. Never rejects: what failed is in the log, and is tried again. */
  look(): Promise<void> {
    if (this.#isOver) return this.#pruning;
    const { clock, keepMs } = this.#options;
    const { at, ranMs } = this.#watchNow();
    const seen = { at: clock.now(), elapsed: clock.elapsed() };
    const before = Math.floor(Math.min(seen.at, at + ranMs)) - keepMs;
    this.#pruning = this.#pruning
      .then(async () => {
        if (!(await this.#prune(before))) return; // looked at again soon
        this.#watch = { at: seen.at, ranMs: clock.elapsed() - seen.elapsed };
        this.#notedAt = clock.elapsed();
        await this.#note();
      })
      .catch((err: unknown) => {
        this.#options.logger.error({ err }, 'the audit could not be pruned');
      });
    return this.#pruning;
  }

  /** Resolves when nothing is being forgotten; nothing is until what it gives is disposed. */
  async hold(): Promise<Disposable> {
    this.#held += 1;
    let isHeld = true;
    await this.#pruning;
    return {
      [Symbol.dispose]: () => {
        if (isHeld) this.#held -= 1;
        isHeld = false;
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    this.#cancel?.();
    await this.#pruning;
    await this.#note();
  }

  #watchNow(): ClockWatch {
    const elapsed = this.#options.clock.elapsed();
    this.#watch = { at: this.#watch.at, ranMs: this.#watch.ranMs + (elapsed - this.#notedAt) };
    this.#notedAt = elapsed;
    return this.#watch;
  }

  /** Never rejects: what could not be noted is noted the next time. */
  async #note(): Promise<void> {
    const { at, ranMs } = this.#watchNow();
    try {
      await this.#options.store.noteClockWatch({ at, ranMs: Math.floor(ranMs) });
    } catch (err) {
      this.#options.logger.warn({ err }, 'it could not be noted for how long the clock is known');
    }
  }

  /** Answers whether it came to its end. */
  async #prune(before: number): Promise<boolean> {
    const { log, store } = this.#options;
    while (this.#held === 0 && !this.#isOver) {
      const last = await store.lastBefore(before, mostTogether);
      if (last === undefined) return true;
      await log.append(
        {
          action: pruneAction,
          ...byItself,
          details: { through: last.seq, hash: last.hash, before },
        },
        { pruneThrough: last.seq },
      );
    }
    return false;
  }
}
