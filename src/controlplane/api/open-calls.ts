import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId, KeyId } from '../../kernel/ids.ts';
import type { Principal } from '../auth/identity.ts';
import { sessionEnded } from '../auth/session-ended.ts';

/** How many may be open at the same time. */
export interface OpenCallLimits {
  readonly perKey: number;
  readonly inAll: number;
}

/** A place among the open calls. Disposing it gives it back. */
export interface Place extends Disposable {
  /** Aborts when the caller leaves, its key ends, or the control plane shuts down. */
  readonly signal: AbortSignal;
  /** Which agent it is about: it ends when the caller loses what it may do with that one. */
  about(agentId: string): void;
}

/** The key of a caller, or its session. */
export type KeyOfCaller = Pick<Principal, 'keyId' | 'signedInBy'>;

interface OpenCall {
  readonly controller: AbortController;
  readonly by: KeyOfCaller;
  agentId: string | undefined;
}

interface OpenCallsOptions {
  /** In the plural, for errors. */
  readonly what: string;
  readonly limits: OpenCallLimits;
}

/** A caller whose key ended while it was let in comes soon after; the keys that ended longest ago are forgotten. */
const rememberedEnds = 1_024;

/** Counts the open calls of one kind, and ends those of a key, or all. */
export class OpenCalls {
  readonly #options: OpenCallsOptions;
  readonly #open = new Map<KeyId, Set<OpenCall>>();
  readonly #endedKeys = new Set<KeyId>();
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
   * @throws CaissonError TOO_MANY_CONNECTIONS, UNAUTHORIZED for a key that has ended, or DRAINING.
   */
  enter(by: KeyOfCaller, left: AbortSignal | undefined): Place {
    const controller = new AbortController();
    const leave = (): void => controller.abort(left?.reason);
    if (left?.aborted === true) leave();
    const place = this.enterWith(by, controller);
    left?.addEventListener('abort', leave, { once: true });
    return {
      signal: place.signal,
      about: (agentId) => place.about(agentId),
      [Symbol.dispose]: () => {
        left?.removeEventListener('abort', leave);
        place[Symbol.dispose]();
      },
    };
  }

  /**
   * As `enter`, for who has a controller already: what ends the place aborts it, and several places may share it.
   *
   * @throws CaissonError as `enter`.
   */
  enterWith(by: KeyOfCaller, controller: AbortController): Place {
    const { keyId } = by;
    if (this.#ended !== undefined) throw this.#ended;
    if (this.#endedKeys.has(keyId)) throw keyEnded(by);
    controller.signal.throwIfAborted();
    const { limits } = this.#options;
    const ofKey = this.#open.get(keyId) ?? new Set<OpenCall>();
    if (ofKey.size >= limits.perKey) throw this.#tooMany(whatOf(by), limits.perKey);
    if (this.#count >= limits.inAll) throw this.#tooMany('the control plane', limits.inAll);
    const call: OpenCall = { controller, by, agentId: undefined };
    this.#open.set(keyId, ofKey.add(call));
    this.#count += 1;
    return {
      signal: controller.signal,
      about: (agentId) => void (call.agentId = agentId),
      [Symbol.dispose]: () => {
        if (!ofKey.delete(call)) return;
        this.#count -= 1;
        if (ofKey.size === 0) this.#open.delete(keyId);
      },
    };
  }

  /** For good. */
  endKey(keyId: KeyId): void {
    this.#endedKeys.add(keyId);
    const [oldest] = this.#endedKeys;
    if (this.#endedKeys.size > rememberedEnds && oldest !== undefined) this.#endedKeys.delete(oldest);
    for (const { controller, by } of this.#open.get(keyId) ?? []) controller.abort(keyEnded(by));
  }

  /** What is about this agent, of one key. It may be asked for again, and is judged anew then. */
  cutAgent(keyId: KeyId, agentId: AgentId): void {
    const reason = new CaissonError('ACCESS_CHANGED', `What you may do with agent ${agentId} has changed.`);
    for (const call of this.#open.get(keyId) ?? []) if (call.agentId === agentId) call.controller.abort(reason);
  }

  /** Ends all of them, and lets no more in. */
  endAll(reason: CaissonError): void {
    this.#ended = reason;
    for (const ofKey of this.#open.values()) for (const { controller } of ofKey) controller.abort(reason);
  }

  #tooMany(whose: string, limit: number): CaissonError {
    const message = `${limit} ${this.#options.what} of ${whose} are open, which is the most.`;
    return new CaissonError('TOO_MANY_CONNECTIONS', message, { details: { limit } });
  }
}

/** What is counted together, for errors. */
export function whatOf({ signedInBy }: KeyOfCaller): string {
  return signedInBy === null ? 'this API key' : 'this session';
}

function keyEnded({ keyId, signedInBy }: KeyOfCaller): CaissonError {
  if (signedInBy !== null) return sessionEnded();
  return new CaissonError('UNAUTHORIZED', `API key ${keyId} was revoked, or has expired.`);
}
