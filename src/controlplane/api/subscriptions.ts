import { CaissonError } from '../../kernel/errors.ts';
import type { KeyId } from '../../kernel/ids.ts';

/** Subscriptions that may be open at the same time. */
export interface SubscriptionLimits {
  readonly perKey: number;
  readonly inAll: number;
}

const defaultSubscriptionLimits: SubscriptionLimits = { perKey: 64, inAll: 1_024 };

/** A place among the open subscriptions. Disposing it gives it back. */
export interface SubscriptionPlace extends Disposable {
  /** Aborts when the key is revoked or the control plane shuts down. */
  readonly signal: AbortSignal;
}

/** Counts the open subscriptions, and ends those of a key, or all. */
export class Subscriptions {
  readonly #limits: SubscriptionLimits;
  readonly #open = new Map<KeyId, Set<AbortController>>();
  #count = 0;
  #ended: CaissonError | undefined;

  constructor(limits: SubscriptionLimits = defaultSubscriptionLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#count;
  }

  /** @throws CaissonError TOO_MANY_CONNECTIONS, or DRAINING. */
  enter(keyId: KeyId): SubscriptionPlace {
    if (this.#ended !== undefined) throw this.#ended;
    const ofKey = this.#open.get(keyId) ?? new Set();
    if (ofKey.size >= this.#limits.perKey) throw tooMany('this API key', this.#limits.perKey);
    if (this.#count >= this.#limits.inAll) throw tooMany('the control plane', this.#limits.inAll);
    const controller = new AbortController();
    this.#open.set(keyId, ofKey.add(controller));
    this.#count += 1;
    return {
      signal: controller.signal,
      [Symbol.dispose]: () => {
        if (!ofKey.delete(controller)) return;
        this.#count -= 1;
        if (ofKey.size === 0) this.#open.delete(keyId);
      },
    };
  }

  endKey(keyId: KeyId): void {
    for (const controller of this.#open.get(keyId) ?? []) {
      controller.abort(new CaissonError('UNAUTHORIZED', `API key ${keyId} was revoked.`));
    }
  }

  /** Ends all of them, and lets no more in. */
  endAll(reason: CaissonError): void {
    this.#ended = reason;
    for (const controllers of this.#open.values()) for (const controller of controllers) controller.abort(reason);
  }
}

function tooMany(whose: string, limit: number): CaissonError {
  return new CaissonError('TOO_MANY_CONNECTIONS', `${limit} subscriptions of ${whose} are open, which is the most.`, {
    details: { limit },
  });
}
