import { CaissonError } from '../kernel/errors.ts';

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
      else this.#onSilence(this.#silence());
    }, this.limitMs / steps);
  }

  #silence(): CaissonError {
    const message = `No control plane answers at ${this.#url}: nothing came for ${this.limitMs / 1000} s.`;
    return new CaissonError('CONTROL_PLANE_UNREACHABLE', message, {
      hint: 'It may stand still, or the connection was silently cut: see whether it answers, and try again.',
      details: { url: this.#url },
    });
  }
}
