import type { Clock } from '../../kernel/clock.ts';
import type { ErrorCode } from '../../kernel/error-table.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { AuditLog } from './audit-log.ts';
import type { AuditStore } from './audit-store.ts';
import { agentAmong, joinTargets } from './call-details.ts';
import type { AuditCall, AuditDetails, AuditOutcome } from './record.ts';
import { isRefusal, Refusals } from './refusals.ts';

interface AuditTrailOptions {
  readonly log: AuditLog;
  readonly store: Pick<AuditStore, 'open' | 'close' | 'listOpen'>;
  /** Resolves when all that is stored outlives a power cut. */
  readonly flushed: () => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What became of a call. */
export interface AuditEnd {
  readonly outcome: AuditOutcome;
  /** Ids that are known only now, such as of what was made. */
  readonly targets?: readonly string[];
  readonly details?: AuditDetails;
}

/** A call that changes something and is under way. */
export interface AuditEntry {
  /** Resolves when its record is on the disk: only then may its caller be told. Call it once. */
  end(end: AuditEnd): Promise<void>;
}

/**
 * The one place where records of the audit are made.
 *
 * A call that changes something begins with `begin`, before anything is done: so what is under way when the control plane is
 * killed is found at the next start, and recorded as INTERRUPTED. Where nothing can be stored it rejects, and nothing is done.
 * What is refused before, and what only looks and is refused, goes to `refused`.
 */
export class AuditTrail implements AsyncDisposable {
  readonly #options: AuditTrailOptions;
  readonly #refusals: Refusals;
  #lastOpen = 0;

  constructor(options: AuditTrailOptions) {
    this.#options = options;
    this.#refusals = new Refusals({
      clock: options.clock,
      record: (call, outcome, count) => options.log.append({ ...call, outcome, count, durationMs: 0 }),
      onFailure: (err) => options.logger.error({ err }, 'refusals could not be recorded'),
    });
  }

  /** Records what an earlier control plane had under way when it ended. Call it before the first `begin`. */
  async recover(): Promise<void> {
    const { log, store } = this.#options;
    for (const { id, call } of await store.listOpen()) {
      await log.append({ ...call, outcome: 'INTERRUPTED', count: 1, durationMs: 0 }, { closes: id });
    }
  }

  async begin(call: AuditCall): Promise<AuditEntry> {
    const { clock, store } = this.#options;
    this.#lastOpen += 1;
    const id = this.#lastOpen;
    const began = clock.elapsed();
    await store.open(id, call, clock.now());
    return { end: (end) => this.#end(id, withEnd(call, end), end.outcome, clock.elapsed() - began) };
  }

  /** What was refused before it began, or only wanted to look. */
  async refused(call: AuditCall, code: ErrorCode): Promise<void> {
    await this.#refusals.note(call, code);
  }

  /** Records what was only counted so far. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#refusals[Symbol.asyncDispose]();
  }

  async #end(id: number, call: AuditCall, outcome: AuditOutcome, durationMs: number): Promise<void> {
    const { log, store, flushed } = this.#options;
    if (outcome !== 'ok' && outcome !== 'INTERRUPTED' && isRefusal(outcome)) {
      await this.#refusals.note(call, outcome);
      await store.close(id);
      return;
    }
    await log.append({ ...call, outcome, count: 1, durationMs: Math.round(durationMs) }, { closes: id });
    await flushed();
  }
}

function withEnd(call: AuditCall, { targets = [], details = {} }: AuditEnd): AuditCall {
  const all = joinTargets(call.targets, targets);
  return { ...call, targets: all, agentId: call.agentId ?? agentAmong(all), details: { ...call.details, ...details } };
}
