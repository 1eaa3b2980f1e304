import { randomBytes } from 'node:crypto';
import type { Clock } from '../../kernel/clock.ts';
import type { PendingSignIn } from './identity-provider.ts';
import type { Attempt } from './login-attempts.ts';

/** How long somebody may take at the provider. */
export const pendingMs = 10 * 60_000;
/** Those begun first are forgotten. */
const mostPending = 2_000;

interface Pending extends PendingSignIn {
  readonly attempt: Attempt;
}

/**
 * Sign-ins that are at the provider, each by the ticket that its browser keeps in a cookie. Each is taken once. In memory: after a
 * new start, people begin again.
 */
export class PendingSignIns {
  readonly #pending = new Map<string, { readonly signIn: Pending; readonly endsAt: number }>();
  readonly #clock: Pick<Clock, 'elapsed'>;

  constructor(clock: Pick<Clock, 'elapsed'>) {
    this.#clock = clock;
  }

  add(signIn: Pending): string {
    const ticket = randomBytes(32).toString('base64url');
    this.#pending.set(ticket, { signIn, endsAt: this.#clock.elapsed() + pendingMs });
    const oldest = this.#pending.keys().next();
    if (this.#pending.size > mostPending && !oldest.done) this.#pending.delete(oldest.value);
    return ticket;
  }

  take(ticket: string): Pending | undefined {
    const found = this.#pending.get(ticket);
    this.#pending.delete(ticket);
    return found !== undefined && found.endsAt > this.#clock.elapsed() ? found.signIn : undefined;
  }
}
