/** Named places where a stream waits until the test lets it go on. At most 1,000 names a server. */
export class Gates {
  readonly #gates = new Map<string, PromiseWithResolvers<void>>();

  /** Opens a gate for good, also for those that come later. */
  open(name: string): void {
    this.#gate(name).resolve();
  }

  /** Waits for the gate to open or the signal to fire. */
  async pass(name: string, signal: AbortSignal): Promise<void> {
    const left = Promise.withResolvers<void>();
    const leave = (): void => left.resolve();
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    await Promise.race([this.#gate(name).promise, left.promise]);
    signal.removeEventListener('abort', leave);
  }

  #gate(name: string): PromiseWithResolvers<void> {
    const known = this.#gates.get(name);
    if (known !== undefined) return known;
    if (this.#gates.size >= 1_000) throw new Error('Too many gates.');
    const gate = Promise.withResolvers<void>();
    this.#gates.set(name, gate);
    return gate;
  }
}
