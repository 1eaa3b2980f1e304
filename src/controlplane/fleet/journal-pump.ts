import type { SandboxObserver } from '../../agents/ports.ts';
import type { Clock } from '../../kernel/clock.ts';
import { crashPoint } from '../../kernel/crash-point.ts';
import { type CaissonError, toCaissonError } from '../../kernel/errors.ts';
import type { AgentId, IncarnationId } from '../../kernel/ids.ts';
import { pause } from '../../kernel/pause.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { JournalEntry } from '../../wire/contract/journal-entry.ts';
import type { GuestClient } from '../../wire/guest-client.ts';

/**
 * How long a stored entry may wait to be acknowledged. Nobody waits for it but the guest's memory, which holds 16 MiB: more
 * than a harness says in that time. At the pace of a turn it is one request, and one flush of the disk, instead of five.
 */
const acknowledgeAfterMs = 200;
const firstRetryMs = 100;
const longestRetryMs = 2_000;
const never = new AbortController().signal;

interface PumpOptions {
  readonly client: GuestClient;
  readonly observer: SandboxObserver;
  readonly agentId: AgentId;
  readonly incarnation: IncarnationId;
  /** The last entry that is stored. */
  readonly after: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Reads the guest's journal, stores each batch, and acknowledges it a moment later. The next batch is read when the last is stored, so a
 * slow store slows the harness rather than filling memory. Resolves with what ended it; never rejects.
 */
export async function pumpJournal(options: PumpOptions): Promise<CaissonError> {
  const { client, after } = options;
  using acknowledger = new Acknowledger(options);
  try {
    for await (const entries of client.readJournal({ after })) {
      await store(options, entries);
      crashPoint('journal-stored');
      const last = entries.at(-1);
      if (last !== undefined) acknowledger.stored(last.seq);
    }
    throw new Error('the journal ended');
  } catch (thrown) {
    return toCaissonError(thrown);
  }
}

/**
 * A store that takes nothing for a while holds the harness back, by not reading on, rather than breaking the wire under
 * its model calls.
 */
async function store(options: PumpOptions, entries: readonly JournalEntry[]): Promise<void> {
  const { client, observer, agentId, incarnation, clock, logger } = options;
  for (let waitMs = firstRetryMs; ; waitMs = Math.min(waitMs * 2, longestRetryMs)) {
    try {
      await observer.applyJournal(agentId, incarnation, entries);
      return;
    } catch (thrown) {
      if (toCaissonError(thrown).code !== 'STORAGE_UNAVAILABLE' || !client.isOpen) throw thrown;
      if (waitMs === firstRetryMs) logger.error({ agentId, err: thrown }, 'a journal waits for the store');
    }
    await Promise.race([pause(clock, waitMs, never), client.closed]);
  }
}

/** Acknowledges what is on the disk, one request at a time; what is stored meanwhile shares the next one. */
class Acknowledger implements Disposable {
  readonly #options: PumpOptions;
  #stored = 0;
  #cancel: (() => void) | undefined;

  constructor(options: PumpOptions) {
    this.#options = options;
  }

  stored(seq: number): void {
    this.#stored = seq;
    this.#cancel ??= this.#options.clock.schedule(acknowledgeAfterMs, () => void this.#acknowledge());
  }

  [Symbol.dispose](): void {
    this.#cancel?.();
  }

  async #acknowledge(): Promise<void> {
    const { client, observer, agentId, logger } = this.#options;
    const seq = this.#stored;
    try {
      await observer.flushed();
    } catch (thrown) {
      // What is stored may not outlive a power cut: nothing is acknowledged, and the wire is given up loudly.
      logger.error({ agentId, err: thrown }, 'what was stored could not be brought onto the disk');
      await client.close();
      return;
    }
    try {
      await client.acknowledge(seq);
    } catch (thrown) {
      // A lost acknowledgement is made good by the next one; a lost wire ends the pump by itself.
      logger.debug({ agentId, err: thrown }, 'a journal acknowledgement was lost');
    }
    this.#cancel = undefined;
    if (this.#stored > seq) this.stored(this.#stored);
  }
}
