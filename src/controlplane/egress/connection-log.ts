import type { Clock } from '../../kernel/clock.ts';
import type { AgentId } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { EgressLog, EgressRecord } from './ports.ts';

const intervalMs = 1_000;
const linesPerInterval = 20;

interface Interval {
  lines: number;
  untold: number;
}

/**
 * One log line for each connection of an agent, up to 20 a second; of those above only how many they were. Keeps one count for
 * each agent that connected in the last second.
 */
export class ConnectionLog implements Pick<EgressLog, 'record'>, Disposable {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #intervals = new Map<AgentId, Interval>();
  readonly #timers = new Map<AgentId, () => void>();

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  record(entry: EgressRecord): void {
    const { agentId } = entry;
    const interval = this.#intervals.get(agentId) ?? this.#begin(agentId);
    if (interval.lines < linesPerInterval) {
      interval.lines++;
      this.#logger.info({ ...entry }, 'egress');
    } else interval.untold++;
  }

  /** Tells what is untold. */
  [Symbol.dispose](): void {
    for (const cancel of this.#timers.values()) cancel();
    for (const agentId of this.#intervals.keys()) this.#finish(agentId);
  }

  #begin(agentId: AgentId): Interval {
    const interval = { lines: 0, untold: 0 };
    this.#intervals.set(agentId, interval);
    this.#timers.set(
      agentId,
      this.#clock.schedule(intervalMs, () => this.#finish(agentId)),
    );
    return interval;
  }

  #finish(agentId: AgentId): void {
    const untold = this.#intervals.get(agentId)?.untold ?? 0;
    this.#intervals.delete(agentId);
    this.#timers.delete(agentId);
    if (untold > 0) this.#logger.info({ agentId, connections: untold }, 'egress, further connections');
  }
}
