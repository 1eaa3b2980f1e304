import type { Pin } from './confinement.ts';
import { isGone } from './walk.ts';

/** Keeps the folder that was asked for last pinned, for names that come folder by folder. Disposing it lets that go. */
export class HeldFolder implements Disposable {
  readonly #pin: (path: Buffer) => Pin;
  #held: { readonly path: Buffer; readonly pin: Pin | undefined } | undefined;

  constructor(pin: (path: Buffer) => Pin) {
    this.#pin = pin;
  }

  /** Good until the next call; undefined where there is no such folder any more. */
  at(path: Buffer): Pin | undefined {
    if (this.#held?.path.equals(path) !== true) {
      this[Symbol.dispose]();
      this.#held = { path, pin: this.#open(path) };
    }
    return this.#held?.pin;
  }

  [Symbol.dispose](): void {
    this.#held?.pin?.[Symbol.dispose]();
    this.#held = undefined;
  }

  #open(path: Buffer): Pin | undefined {
    try {
      return this.#pin(path);
    } catch (thrown) {
      if (isGone(thrown)) return undefined;
      throw thrown;
    }
  }
}
