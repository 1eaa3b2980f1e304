import type { AgentEvent, CaissonClient } from '../../../src/client/index.ts';
import { until } from '../../until.ts';
import type { EventOf } from './sound-log.ts';

/** The events of an agent from the first one on, as a live subscriber gets them. */
export class LiveLog implements AsyncDisposable {
  readonly events: AgentEvent[] = [];
  readonly #leave = new AbortController();
  readonly #following: Promise<void>;
  #failure: { readonly thrown: unknown } | undefined;

  constructor(client: CaissonClient, agentId: string) {
    this.#following = this.#follow(client, agentId).catch((thrown: unknown) => {
      this.#failure = { thrown };
    });
  }

  of(runId: string): readonly AgentEvent[] {
    return this.events.filter((event) => event.runId === runId);
  }

  /** Waits until `look` finds something in the log. Throws when the subscription ends, or after 20 s. */
  async until<T>(what: string, look: (events: readonly AgentEvent[]) => T | undefined | false): Promise<T> {
    return await until(what, () => {
      const found = look(this.events);
      if (this.#failure !== undefined && (found === undefined || found === false)) throw this.#failure.thrown;
      return found;
    });
  }

  /** The first event of this type in a run, now or later. */
  async event<Type extends AgentEvent['type']>(runId: string, type: Type): Promise<EventOf<Type>> {
    return await this.until(`${type} of ${runId}`, (events) =>
      events.find((event): event is EventOf<Type> => event.runId === runId && event.type === type),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leave.abort();
    await this.#following;
  }

  async #follow(client: CaissonClient, agentId: string): Promise<void> {
    for await (const event of client.subscribe({ agentId, after: 0, signal: this.#leave.signal })) {
      this.events.push(event);
    }
  }
}
