import type { Clock } from '../../kernel/clock.ts';
import type { ErrorCode } from '../../kernel/error-table.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { AuditLog } from './audit-log.ts';
import type { AuditStore } from './audit-store.ts';
import { agentAmong, joinTargets } from './call-details.ts';
import { type AuditEvent, auditEvents, eventCall } from './events.ts';
import type { AuditCall, AuditDetails, AuditDraft, AuditOutcome } from './record.ts';
import { isRefusal, Tally } from './tally.ts';

interface AuditTrailOptions {
  readonly log: AuditLog;
  readonly store: Pick<AuditStore, 'listOpen'>;
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
  /** It failed when a sandbox had been asked already, which may have done a part of it: then it is not merely counted. */
  readonly hasReachedSandbox?: boolean;
}

/** A call that changes what is stored, and is under way. */
export interface AuditEntry {
  /** Resolves when its record is on the disk: only then may its caller be told. Call it once. */
  end(end: AuditEnd): Promise<void>;
}

/** A call that acts in a sandbox, and is under way. */
export interface SandboxEntry {
  /** Its record has its place in the chain, and is written soon: see `AuditLog`. Call it once. */
  end(end: AuditEnd): void;
}

/**
 * The one place where records of the audit are made.
 *
 * A call that changes what is stored begins with `begin`, before anything is done: what is under way when the control plane is
 * killed is found at the next start, and recorded as INTERRUPTED. A call that acts in a sandbox begins with `beginInSandbox`,
 * and waits for nothing; a crash takes the records of the last `writeWithinMs`, and a power cut those of one flush more. Where
 * nothing can be recorded both reject, and nothing may be done. What is refused before, and what only looks and is refused, goes to
 * `refused`, and what is no call of the API to `record`.
 */
export class AuditTrail implements AsyncDisposable {
  readonly #options: AuditTrailOptions;
  readonly #tally: Tally;

  constructor(options: AuditTrailOptions) {
    const { log, clock, logger } = options;
    this.#options = options;
    this.#tally = new Tally({
      clock,
      record: (call, outcome, count) => log.appendLater({ ...call, outcome, count, durationMs: 0 }),
      onFailure: (err) => logger.error({ err }, 'refusals could not be recorded'),
    });
  }

  /** Records what an earlier control plane had under way when it ended. Call it before the first `begin`. */
  async recover(): Promise<void> {
    const { log, store } = this.#options;
    for (const { id, call } of await store.listOpen()) {
      await log.appendInterrupted({ ...call, outcome: 'INTERRUPTED', count: 1, durationMs: 0 }, id);
    }
  }

  /** @throws CaissonError AUDIT_UNAVAILABLE, or what the store throws */
  async begin(call: AuditCall): Promise<AuditEntry> {
    const { clock, log, flushed } = this.#options;
    const began = clock.elapsed();
    const id = await log.open(call);
    return {
      end: async (end) => {
        const draft = this.#draftOf(call, end, clock.elapsed() - began);
        if (this.#isCounted(draft)) {
          log.close(id);
          return;
        }
        await log.append(draft, { closes: id });
        await flushed();
      },
    };
  }

  /** @throws CaissonError AUDIT_UNAVAILABLE */
  async beginInSandbox(call: AuditCall): Promise<SandboxEntry> {
    const { clock, log } = this.#options;
    const began = clock.elapsed();
    const id = await log.openLater(call);
    return {
      end: (end) => {
        const draft = this.#draftOf(call, end, clock.elapsed() - began);
        if (end.hasReachedSandbox !== true && this.#isCounted(draft)) log.close(id);
        else log.appendLater(draft, { closes: id });
      },
    };
  }

  /** Notes what was refused before it began, or only wanted to look. */
  refused(call: AuditCall, code: ErrorCode): void {
    this.#tally.refusal(call, code);
  }

  /**
   * What is no call of the API. Resolves when the record of what has one each is on the disk; what is counted waits for nothing.
   * Where it rejects, what it is about may not happen.
   *
   * @throws CaissonError AUDIT_UNAVAILABLE, or what the store throws
   */
  async record(event: AuditEvent): Promise<void> {
    const { log, flushed } = this.#options;
    const call = eventCall(event);
    const outcome = event.outcome ?? 'ok';
    if (auditEvents[event.action] === 'counted') {
      await log.checkOpen(call);
      this.#tally.event(call, outcome);
      return;
    }
    await log.append({ ...call, outcome, count: 1, durationMs: 0 });
    await flushed();
  }

  /** The same for who can neither wait nor fail: what cannot be recorded is in the server's log. */
  tell(event: AuditEvent): void {
    this.record(event).catch((err: unknown) => {
      this.#options.logger.error({ action: event.action, err }, 'what happened could not be recorded');
    });
  }

  /** Records what was only counted so far. */
  recordCounts(): void {
    this.#tally.recordCounts();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.recordCounts();
    await this.#options.log[Symbol.asyncDispose]();
  }

  #draftOf(call: AuditCall, { outcome, targets = [], details = {} }: AuditEnd, durationMs: number): AuditDraft {
    const all = joinTargets(call.targets, targets);
    return {
      ...call,
      targets: all,
      agentId: call.agentId ?? agentAmong(all),
      details: { ...call.details, ...details },
      outcome,
      count: 1,
      durationMs: Math.round(durationMs),
    };
  }

  #isCounted({ outcome, count: _count, durationMs: _durationMs, ...call }: AuditDraft): boolean {
    if (outcome === 'ok' || outcome === 'INTERRUPTED' || !isRefusal(outcome)) return false;
    this.#tally.refusal(call, outcome);
    return true;
  }
}
