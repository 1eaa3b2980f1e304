import type { Clock } from '../../kernel/clock.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { AuditLog } from './audit-log.ts';

const everyMs = 3_600_000;

interface HeadNotesOptions {
  readonly log: Pick<AuditLog, 'head'>;
  readonly clock: Pick<Clock, 'schedule'>;
  readonly logger: Logger;
}

/**
 * Writes the head of the chain into the server's log: at the start, once an hour where it has moved, and at the end. A chain
 * without records has none. Who keeps
 * that log elsewhere has a head to compare the chain with (`caisson audit verify --known`).
 */
export class HeadNotes implements Disposable {
  readonly #options: HeadNotesOptions;
  #noted: number | undefined;
  #cancel: (() => void) | undefined;

  constructor(options: HeadNotesOptions) {
    this.#options = options;
  }

  start(): void {
    this.#note();
    this.#cancel = this.#options.clock.schedule(everyMs, () => this.start());
  }

  [Symbol.dispose](): void {
    this.#cancel?.();
    this.#note();
  }

  #note(): void {
    const { log, logger } = this.#options;
    const { seq, hash } = log.head;
    if (seq === 0 || seq === this.#noted) return;
    this.#noted = seq;
    logger.info({ head: `${seq}:${hash}` }, 'the head of the audit');
  }
}
