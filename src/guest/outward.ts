import type { ClientHttp2Session, ClientSessionOptions } from 'node:http2';
import type { Socket } from 'node:net';
import { CaissonError } from '../kernel/errors.ts';
import { connectHttp2 } from '../wire/connect-http2.ts';
import type { KeepAliveOptions } from '../wire/keep-alive.ts';
import type { WireSession } from '../wire/wire-session.ts';

export interface OutwardOptions {
  /** The bounds of its sessions. Default: those of the outward channel. */
  readonly bounds?: ClientSessionOptions;
  readonly keepAlive?: KeepAliveOptions | undefined;
  /** How many requests may wait for a session. Default 64. */
  readonly maxWaiting?: number;
  /** How long one waits. Default 10 min: a control plane that restarts is back by then. */
  readonly maxWaitMs?: number;
}

/**
 * The guest's way out. New requests take the newest session that lives, since that is the newest control plane; where
 * there is none they wait for one.
 */
export class Outward {
  readonly #sessions: WireSession<ClientHttp2Session>[] = [];
  readonly #waiting = new Set<(session: ClientHttp2Session) => void>();
  readonly #bounds: ClientSessionOptions | undefined;
  readonly #keepAlive: KeepAliveOptions | undefined;
  readonly #maxWaiting: number;
  readonly #maxWaitMs: number;

  constructor(options: OutwardOptions = {}) {
    this.#bounds = options.bounds;
    this.#keepAlive = options.keepAlive;
    this.#maxWaiting = options.maxWaiting ?? 64;
    this.#maxWaitMs = options.maxWaitMs ?? 10 * 60_000;
  }

  /** Takes a new outward connection. */
  accept(socket: Socket): WireSession<ClientHttp2Session> {
    const wire = connectHttp2(socket, this.#keepAlive, this.#bounds);
    this.#sessions.push(wire);
    const forget = (): void => {
      const index = this.#sessions.indexOf(wire);
      if (index >= 0) this.#sessions.splice(index, 1);
    };
    wire.session.once('goaway', forget); // it takes no new requests
    wire.session.once('close', forget);
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resume of waiting) resume(wire.session);
    return wire;
  }

  /** The session for a new request, where there is one. */
  get newest(): ClientHttp2Session | undefined {
    return this.#sessions.findLast(({ session }) => !session.destroyed && !session.closed)?.session;
  }

  /** The session for a new request, now or later. Rejects with WIRE_LOST when too many wait, or for too long; or the signal's reason. */
  session(signal: AbortSignal): Promise<ClientHttp2Session> {
    const { newest } = this;
    if (newest !== undefined) return Promise.resolve(newest);
    if (this.#waiting.size >= this.#maxWaiting) {
      return Promise.reject(
        new CaissonError('WIRE_LOST', `${this.#maxWaiting} requests wait for the control plane already.`),
      );
    }
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
        this.#waiting.delete(resume);
      };
      const resume = (session: ClientHttp2Session): void => {
        settle();
        resolve(session);
      };
      const abort = (): void => {
        settle();
        reject(signal.reason as Error);
      };
      const timer = setTimeout(() => {
        settle();
        reject(new CaissonError('WIRE_LOST', `No control plane came within ${this.#maxWaitMs / 1000} s.`));
      }, this.#maxWaitMs);
      this.#waiting.add(resume);
      if (signal.aborted) abort();
      else signal.addEventListener('abort', abort, { once: true });
    });
  }
}
