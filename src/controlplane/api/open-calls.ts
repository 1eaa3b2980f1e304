import { CaissonError } from '../../kernel/errors.ts';
import type { KeyId } from '../../kernel/ids.ts';

/** How many may be open at the same time. */
export interface OpenCallLimits {
  readonly perKey: number;
  readonly inAll: number;
}

/** A place among the open calls. Disposing it gives it back. */
export interface Place extends Disposable {
  /** Aborts when the caller leaves, its key is revoked, or the control plane shuts down. */
  readonly signal: AbortSignal;
}

interface OpenCallsOptions {
  /** In the plural, for errors. */
  readonly what: string;
  readonly limits: OpenCallLimits;
}

/** Counts the open calls of one kind, and ends those of a key, or all. */
export class OpenCalls {
  readonly #options: OpenCallsOptions;
  readonly #open = new Map<KeyId, Set<AbortController>>();
  #count = 0;
  #ended: CaissonError | undefined;

  constructor(options: OpenCallsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#count;
  }

  /**
   * `left` aborts when the caller leaves; its reason is thrown where it did already.
   *
   * @throws CaissonError TOO_MANY_CONNECTIONS, or DRAINING.
   */
  enter(keyId: KeyId, left: AbortSignal | undefined): Place {
    if (this.#ended !== undefined) throw this.#ended;
    left?.throwIfAborted();
    const { limits } = this.#options;
    const ofKey = this.#open.get(keyId) ?? new Set();
    if (ofKey.size >= limits.perKey) throw this.#tooMany('this API key', limits.perKey);
    if (this.#count >= limits.inAll) throw this.#tooMany('the control plane', limits.inAll);
    const controller = new AbortController();
    const leave = (): void => controller.abort(left?.reason);
    left?.addEventListener('abort', leave, { once: true });
    this.#open.set(keyId, ofKey.add(controller));
    this.#count += 1;
    return {
      signal: controller.signal,
      [Symbol.dispose]: () => {
        if (!ofKey.delete(controller)) return;
        left?.removeEventListener('abort', leave);
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

  #tooMany(whose: string, limit: number): CaissonError {
    const message = `${limit} ${this.#options.what} of ${whose} are open, which is the most.`;
    return new CaissonError('TOO_MANY_CONNECTIONS', message, { details: { limit } });
  }
}
