import type { Clock } from '../../../kernel/clock.ts';
import type { AgentId } from '../../../kernel/ids.ts';

const windowMs = 10 * 60_000;
/** Places of one agent that are news within ten minutes. */
const mostOfAgent = 20;

interface Window {
  readonly told: Set<string>;
  readonly close: () => void;
}

/**
 * Tells which blocked connections are news: the first to a host and port within ten minutes, and at most 20 of an agent. Keeps
 * that much for each agent that was blocked in the last ten minutes.
 */
export class BlockedPlaces implements Disposable {
  readonly #clock: Clock;
  readonly #windows = new Map<AgentId, Window>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  isNews(agentId: AgentId, host: string, port: number): boolean {
    const { told } = this.#windows.get(agentId) ?? this.#begin(agentId);
    const place = `${host} ${port}`;
    if (told.has(place) || told.size >= mostOfAgent) return false;
    told.add(place);
    return true;
  }

  [Symbol.dispose](): void {
    for (const { close } of this.#windows.values()) close();
    this.#windows.clear();
  }

  #begin(agentId: AgentId): Window {
    const window = {
      told: new Set<string>(),
      close: this.#clock.schedule(windowMs, () => this.#windows.delete(agentId)),
    };
    this.#windows.set(agentId, window);
    return window;
  }
}
