import type { Clock } from '../../kernel/clock.ts';
import type { AgentId } from '../../kernel/ids.ts';
import type { LogFields, Logger } from '../../kernel/logger.ts';
import type { CallRecord } from './call-record.ts';

/** From a line about an agent's calls that used no tokens to the next. */
const intervalMs = 1_000;

/** What came since an agent's last line. */
interface Held {
  calls: number;
  last: LogFields;
}

/**
 * One log line for each call that used tokens. A call that used none costs a guest nothing, so it can make any number of
 * them: of these at most one a second and agent has a line of its own, and those between share one, which tells the last
 * of them and how many `calls` they are. None goes uncounted. Keeps one record for each agent that called in the last second.
 */
export class CallLog implements Disposable {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #held = new Map<AgentId, Held>();
  readonly #timers = new Map<AgentId, () => void>();
  #isClosed = false;

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  add(agentId: AgentId, record: CallRecord): void {
    const fields = fieldsOf(agentId, record);
    if ((record.charge?.tokens ?? 0) > 0 || this.#isClosed) this.#say(fields);
    else if (this.#timers.has(agentId)) this.#held.set(agentId, { calls: this.#callsHeld(agentId) + 1, last: fields });
    else {
      this.#say(fields);
      this.#pause(agentId);
    }
  }

  /** Tells what is held. What ends after that is told at once. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
    for (const agentId of this.#held.keys()) this.#sayHeld(agentId);
  }

  #pause(agentId: AgentId): void {
    const over = (): void => {
      this.#timers.delete(agentId);
      if (this.#sayHeld(agentId)) this.#pause(agentId);
    };
    this.#timers.set(agentId, this.#clock.schedule(intervalMs, over));
  }

  /** Whether there was anything. */
  #sayHeld(agentId: AgentId): boolean {
    const held = this.#held.get(agentId);
    if (held === undefined) return false;
    this.#held.delete(agentId);
    this.#say(held.calls === 1 ? held.last : { ...held.last, calls: held.calls });
    return true;
  }

  #callsHeld(agentId: AgentId): number {
    return this.#held.get(agentId)?.calls ?? 0;
  }

  #say(fields: LogFields): void {
    this.#logger.info(fields, 'model call');
  }
}

function fieldsOf(agentId: AgentId, { caller, charge, ...call }: CallRecord): LogFields {
  return {
    agentId,
    userId: caller?.userId ?? null,
    conversationId: caller?.conversationId ?? null,
    runId: caller?.runId ?? null,
    ...call,
    ...(charge && {
      inputTokens: charge.counts.input,
      cachedInputTokens: charge.counts.cachedInput,
      cacheWriteTokens: charge.counts.cacheWrite,
      outputTokens: charge.counts.output,
      reasoningTokens: charge.counts.reasoning,
      costMicros: charge.costMicros,
      isEstimated: charge.isEstimated,
    }),
  };
}
