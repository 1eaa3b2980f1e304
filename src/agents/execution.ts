import { CaissonError } from '../kernel/errors.ts';
import type { AgentId } from '../kernel/ids.ts';

/** A run that has left the queue, until it is over. */
export class Execution {
  readonly agentId: AgentId;
  readonly #abandon = new AbortController();
  readonly #cancel = new AbortController();
  #passOn: (() => Promise<void>) | undefined;

  constructor(agentId: AgentId) {
    this.agentId = agentId;
  }

  get signal(): AbortSignal {
    return this.#abandon.signal;
  }

  /** Aborts when a user cancels. Before the hand-over this ends the wait for a sandbox; after it, the guest is told. */
  get canceled(): AbortSignal {
    return this.#cancel.signal;
  }

  abandon(): void {
    this.#abandon.abort(new CaissonError('ABORTED', 'The agent was deleted.'));
  }

  handedOver(passOn: () => Promise<void>): void {
    this.#passOn = passOn;
    if (this.#cancel.signal.aborted) void passOn();
  }

  cancel(): void {
    if (this.#cancel.signal.aborted) return;
    this.#cancel.abort(new CaissonError('ABORTED', 'The run was canceled.'));
    void this.#passOn?.();
  }
}
