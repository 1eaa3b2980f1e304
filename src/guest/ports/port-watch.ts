import type { Clock } from '../../kernel/clock.ts';
import { errorText } from '../../kernel/errors.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { JournalBody } from '../../wire/contract/journal-entry.ts';
import type { ListeningPort } from '../../wire/contract/ports.ts';
import type { Journal } from '../journal.ts';
import type { PortTable } from './port-table.ts';

interface PortWatchOptions {
  readonly table: Pick<PortTable, 'list'>;
  readonly journal: Pick<Journal, 'append' | 'full' | 'isRead'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

const lookEveryMs = 500;

/** Entries that may follow each other at once, and how long it takes until there is room for one more. */
const burst = 40;
const refillMs = 3_000;

/**
 * Tells the journal which ports open and close, while a control plane reads it. What matters is the difference between
 * what was told and what is there, seen twice in a row: so a port that flaps costs at most one entry in 3 s, nothing is
 * missed for good, and a control plane that comes later hears what has changed since.
 */
export class PortWatch {
  readonly #options: PortWatchOptions;
  readonly #told = new Map<number, ListeningPort>();
  /** What the last look saw. */
  #seen: ReadonlyMap<number, ListeningPort> = new Map();
  #tokens = burst;
  #refilledAt: number;
  #stopTimer: () => void = () => undefined;
  #isStopped = false;

  constructor(options: PortWatchOptions) {
    this.#options = options;
    this.#refilledAt = options.clock.elapsed();
    this.#scheduleNext();
  }

  stop(): void {
    this.#isStopped = true;
    this.#stopTimer();
  }

  #scheduleNext(): void {
    if (this.#isStopped) return;
    this.#stopTimer = this.#options.clock.schedule(lookEveryMs, () => {
      void this.#look().finally(() => this.#scheduleNext());
    });
  }

  async #look(): Promise<void> {
    const { table, journal, logger } = this.#options;
    if (!journal.isRead || journal.full) return;
    try {
      const now = new Map((await table.list()).map((port) => [port.port, port]));
      if (this.#isStopped) return;
      this.#tell(now);
      this.#seen = now;
    } catch (thrown) {
      logger.warn({ error: errorText(thrown) }, 'the ports of the sandbox could not be looked at');
    }
  }

  #tell(now: ReadonlyMap<number, ListeningPort>): void {
    for (const [port, known] of this.#told) {
      if (now.has(port) || this.#seen.has(port) || !this.#take()) continue;
      this.#told.delete(port);
      this.#options.journal.append(entry('port.closed', known));
    }
    for (const [port, listening] of now) {
      if (this.#told.has(port) || !this.#seen.has(port) || !this.#take()) continue;
      this.#told.set(port, listening);
      this.#options.journal.append(entry('port.opened', listening));
    }
  }

  #take(): boolean {
    const elapsed = this.#options.clock.elapsed();
    const gained = Math.floor((elapsed - this.#refilledAt) / refillMs);
    this.#tokens = Math.min(burst, this.#tokens + gained);
    this.#refilledAt += gained * refillMs;
    if (this.#tokens === 0) return false;
    this.#tokens--;
    return true;
  }
}

function entry(type: 'port.opened' | 'port.closed', { port, pid, command }: ListeningPort): JournalBody {
  return { type, port, pid, command };
}
