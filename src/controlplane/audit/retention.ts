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
 * Forgets records that are older than `keepMs`, oldest first, once an hour. Each time it leaves an anchor in the chain, which
 * says up to which record the chain was forgotten, and with which hash the rest goes on: so what is left can be verified.
 * While somebody walks the chain (`hold`) nothing is forgotten.
 */
export class Retention implements AsyncDisposable {
  readonly #options: RetentionOptions;
  #held = 0;
  #cancel: (() => void) | undefined;
  #pruning: Promise<void> = Promise.resolve();
  #isOver = false;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  /** Prunes now, and from then on. Never rejects: what failed is in the log, and is tried again. */
  start(): Promise<void> {
    this.#cancel?.();
    if (this.#isOver) return this.#pruning;
    this.#cancel = this.#options.clock.schedule(everyMs, () => void this.start());
    this.#pruning = this.#pruning
      .then(() => this.#prune())
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

  async #prune(): Promise<void> {
    const { log, store, clock, keepMs } = this.#options;
    const before = clock.now() - keepMs;
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
