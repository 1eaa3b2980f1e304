import type { Clock } from '../../kernel/clock.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { AuditLog } from './audit-log.ts';
import type { AuditStore } from './audit-store.ts';
import { pruneAction } from './record.ts';

interface RetentionOptions {
  readonly log: AuditLog;
  readonly store: Pick<AuditStore, 'lastBefore'>;
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
/** Records that are forgotten in one transaction. */
const mostTogether = 2_000;

/**
 * Forgets records that are older than `keepMs`, oldest first, once an hour, at first an hour after the start. What is forgotten
 * does not come back, so a clock that is ahead is believed only when it was so an hour before as well. Each time it leaves an anchor in the chain, which
 * says up to which record the chain was forgotten, and with which hash the rest goes on: so what is left can be verified.
 * While somebody walks the chain (`hold`) nothing is forgotten.
 */
export class Retention implements AsyncDisposable {
  readonly #options: RetentionOptions;
  #held = 0;
  #cancel: (() => void) | undefined;
  #pruning: Promise<void> = Promise.resolve();
  #isOver = false;
  /** What the clock was ahead of the one that does not jump, at the last look. */
  #ahead: number;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#ahead = this.#readAhead();
  }

  start(): void {
    this.#cancel?.();
    if (this.#isOver) return;
    this.#cancel = this.#options.clock.schedule(everyMs, () => {
      void this.look();
      this.start();
    });
  }

  /** Prunes now. Never rejects: what failed is in the log, and is tried again. */
  look(): Promise<void> {
    if (this.#isOver) return this.#pruning;
    const { clock, keepMs } = this.#options;
    const ahead = this.#readAhead();
    const before = Math.floor(Math.min(ahead, this.#ahead) + clock.elapsed()) - keepMs;
    this.#ahead = ahead;
    this.#pruning = this.#pruning
      .then(() => this.#prune(before))
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
  }

  #readAhead(): number {
    return this.#options.clock.now() - this.#options.clock.elapsed();
  }

  async #prune(before: number): Promise<void> {
    const { log, store } = this.#options;
    while (this.#held === 0 && !this.#isOver) {
      const last = await store.lastBefore(before, mostTogether);
      if (last === undefined) return;
      await log.append(
        {
          action: pruneAction,
          ...byItself,
          details: { through: last.seq, hash: last.hash, before },
        },
        { pruneThrough: last.seq },
      );
    }
  }
}
