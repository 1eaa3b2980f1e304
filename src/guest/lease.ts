import { CaissonError } from '../kernel/errors.ts';

/**
 * Which control plane drives the harness: the one with the highest epoch ever seen. An epoch is a number that a control
 * plane takes from its store, one higher for each new driver.
 */
export class Lease {
  #epoch = 0;
  readonly #onRaised: () => void;

  /** `onRaised` is called when a new driver has come. */
  constructor(onRaised: () => void) {
    this.#onRaised = onRaised;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Lets the holder of `epoch` through, which from now on shuts out every lower one. Throws STALE_LEASE for those. */
  take(epoch: number): void {
    if (epoch < this.#epoch) {
      throw new CaissonError('STALE_LEASE', `Lease ${epoch} was superseded by lease ${this.#epoch}.`);
    }
    if (epoch === this.#epoch) return;
    this.#epoch = epoch;
    this.#onRaised();
  }
}
