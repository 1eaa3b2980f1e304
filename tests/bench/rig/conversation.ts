import type { AgentEvent, CaissonClient } from '../../../src/client/index.ts';

/** One turn as a subscriber lived it. Times are milliseconds since `runs.start` was called. */
export interface LivedTurn {
  /** When the first piece of the answer was there. */
  readonly firstDeltaMs: number;
  /** When the last piece of the answer was there. */
  readonly lastDeltaMs: number;
  /** When the end of the run was there. */
  readonly endedMs: number;
  /** The pieces, put together. */
  readonly text: string;
  /** How many events the pieces came in. */
  readonly deltas: number;
}

/** A conversation with a subscriber that listens all the time, as a panel does. */
export class LiveConversation implements AsyncDisposable {
  readonly #client: CaissonClient;
  readonly #conversationId: string;
  readonly #leave = new AbortController();
  readonly #following: Promise<void>;
  #onEvent: (event: AgentEvent) => void = () => undefined;
  #onBroken: (reason: unknown) => void = () => undefined;

  constructor(
    client: CaissonClient,
    place: { readonly agentId: string; readonly conversationId: string },
    after: number,
  ) {
    this.#client = client;
    this.#conversationId = place.conversationId;
    this.#following = this.#follow(place.agentId, after);
  }

  /** Opens a conversation and a subscription that has caught up. */
  static async open(client: CaissonClient, agentId: string): Promise<LiveConversation> {
    const { id: conversationId } = await client.conversations.open.mutate({ agentId });
    const { seq } = await client.agents.status.query({ agentId });
    return new LiveConversation(client, { agentId, conversationId }, seq);
  }

  /** Says something and listens to the end of the run. */
  async turn(message: string): Promise<LivedTurn> {
    const ended = Promise.withResolvers<void>();
    const pieces: string[] = [];
    let firstDeltaMs = 0;
    let lastDeltaMs = 0;
    let endedMs = 0;
    const startedAt = performance.now();
    this.#onBroken = ended.reject;
    this.#onEvent = (event) => {
      if (event.conversationId !== this.#conversationId) return;
      if (event.type === 'message.delta') {
        lastDeltaMs = performance.now() - startedAt;
        if (pieces.length === 0) firstDeltaMs = lastDeltaMs;
        pieces.push(event.delta);
      }
      if (event.type === 'run.completed') {
        endedMs = performance.now() - startedAt;
        ended.resolve();
      }
      if (event.type === 'run.failed')
        ended.reject(new Error(`the run failed: ${event.reason} ${event.message ?? ''}`));
    };
    const accepted = this.#client.runs.start.mutate({ conversationId: this.#conversationId, message });
    await Promise.all([accepted, ended.promise]);
    return { firstDeltaMs, lastDeltaMs, endedMs, text: pieces.join(''), deltas: pieces.length };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leave.abort();
    await this.#following;
  }

  async #follow(agentId: string, after: number): Promise<void> {
    try {
      for await (const event of this.#client.subscribe({ agentId, after, signal: this.#leave.signal })) {
        this.#onEvent(event);
      }
    } catch (thrown) {
      this.#onBroken(thrown);
    }
  }
}
