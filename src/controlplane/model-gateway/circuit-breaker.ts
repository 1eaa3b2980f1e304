import type { Clock } from '../../kernel/clock.ts';

/** Failures of a service one after the other until no more is asked of it. */
const mostFailures = 10;
/** How long it is left alone. Milliseconds. */
const restMs = 10_000;

type BreakerState =
  | { readonly name: 'closed'; failures: number }
  | { readonly name: 'open'; readonly until: number }
  /** A call is under way that may decide; the others are refused, until then. */
  | { readonly name: 'half_open'; readonly until: number };

export type BreakerMode = BreakerState['name'];

/**
 * Keeps callers off a service that does not answer, so that they learn of it at once instead of waiting. Modes: closed
 * (calls pass), open (none passes, for 10 s after the tenth failure in a row), half open (one call is let through each
 * 10 s, and the first that tells something decides: one can hang for minutes, also because its guest wants it to). Only
 * what says that the service itself is down is a failure: nothing that one agent alone could bring about. Goes by the
 * clock that never jumps.
 */
export class CircuitBreaker {
  readonly #clock: Clock;
  readonly #onTurn: (isDown: boolean) => void;
  #state: BreakerState = { name: 'closed', failures: 0 };

  /** `onTurn` is told when the service is taken for down, and when it answers again. */
  constructor(clock: Clock, onTurn: (isDown: boolean) => void = () => undefined) {
    this.#clock = clock;
    this.#onTurn = onTurn;
  }

  get mode(): BreakerMode {
    return this.#state.name;
  }

  /** Null when a call may pass; else milliseconds until one may be tried. A call that passes must tell how it ended. */
  enter(): number | null {
    switch (this.#state.name) {
      case 'closed':
        return null;
      case 'half_open':
      case 'open': {
        const now = this.#clock.elapsed();
        const left = this.#state.until - now;
        if (left > 0) return left;
        this.#state = { name: 'half_open', until: now + restMs };
        return null;
      }
    }
  }

  /** How a call that passed ended; `unknown` where it does not tell anything about the service. */
  leave(outcome: 'worked' | 'failed' | 'unknown'): void {
    switch (outcome) {
      case 'worked':
        if (this.#state.name !== 'closed') this.#onTurn(false);
        this.#state = { name: 'closed', failures: 0 };
        return;
      case 'unknown':
        if (this.#state.name === 'half_open') this.#state = { name: 'open', until: this.#clock.elapsed() };
        return;
      case 'failed':
        if (this.#state.name === 'closed' && ++this.#state.failures < mostFailures) return;
        if (this.#state.name === 'closed') this.#onTurn(true);
        if (this.#state.name !== 'open') this.#state = { name: 'open', until: this.#clock.elapsed() + restMs };
    }
  }
}
