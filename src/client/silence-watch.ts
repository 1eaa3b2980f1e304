import type { CaissonError } from '../kernel/errors.ts';
import { unreachable } from './endpoint.ts';

/** A machine that slept, or was busy, finds one step over when it wakes, however long it was: what came meanwhile is heard. */
const steps = 3;

/** Tells when a connection that should give signs of life gives none for `limitMs`. Watches from `start` to `stop`. */
export class SilenceWatch {
  limitMs: number;
  readonly #url: string;
  readonly #onSilence: (error: CaissonError) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(url: string, limitMs: number, onSilence: (error: CaissonError) => void) {
    this.#url = url;
    this.limitMs = limitMs;
    this.#onSilence = onSilence;
  }

  /** From now on, anew. */
  start(): void {
    this.stop();
    this.#wait(steps);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #wait(left: number): void {
    this.#timer = setTimeout(() => {
      if (left > 1) this.#wait(left - 1);
      else this.#onSilence(unreachable(this.#url, `nothing came for ${this.limitMs / 1000} s`));
    }, this.limitMs / steps);
  }
}
