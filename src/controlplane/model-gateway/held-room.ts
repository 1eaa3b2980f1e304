import type { AgentId } from '../../kernel/ids.ts';

/** What one agent has of a `HeldRoom`. */
export interface HeldShare {
  /** Whether there was room. Who took it gives it back. */
  take(bytes: number): boolean;
  giveBack(bytes: number): void;
}

/** Of what one agent holds, what is left for the others has to be this many times as much. */
const timesLeft = 3;

/**
 * Room in memory that the calls of all agents share. Bounded: who finds none is refused. An agent may hold a third of what it leaves to
 * the others, so that one that takes all that it can, or ten that do, leave room for the next one.
 */
export class HeldRoom {
  #left: number;
  readonly #held = new Map<AgentId, number>();

  /** In bytes. One agent can hold a quarter of it. */
  constructor(bytes: number) {
    this.#left = bytes;
  }

  of(agentId: AgentId): HeldShare {
    const add = (bytes: number): void => {
      const held = (this.#held.get(agentId) ?? 0) + bytes;
      if (held === 0) this.#held.delete(agentId);
      else this.#held.set(agentId, held);
      this.#left -= bytes;
    };
    return {
      take: (bytes) => {
        const held = (this.#held.get(agentId) ?? 0) + bytes;
        if (bytes > 0 && held * timesLeft > this.#left - bytes) return false;
        add(bytes);
        return true;
      },
      giveBack: (bytes) => add(-bytes),
    };
  }
}
