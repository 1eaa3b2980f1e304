/**
 * The kernel holds 16,384 events for a process and drops what comes above, which Node does not tell. What it holds is handed
 * out within one turn of the event loop; some may be of watches that are closed by now, and are not counted.
 */
const mostEvents = 12_288;

/** Counts the events of all watches of this process, and tells the trees where some may have been dropped. */
export class EventBurst {
  readonly #trees = new Set<() => void>();
  #count = 0;

  join(lose: () => void): void {
    this.#trees.add(lose);
  }

  leave(lose: () => void): void {
    this.#trees.delete(lose);
  }

  count(): void {
    this.#count += 1;
    if (this.#count > 1) return;
    setImmediate(() => {
      const wasTooMany = this.#count >= mostEvents;
      this.#count = 0;
      if (wasTooMany) for (const lose of this.#trees) lose();
    });
  }
}
