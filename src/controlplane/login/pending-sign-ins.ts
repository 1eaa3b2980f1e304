import { randomBytes } from 'node:crypto';
import type { Clock } from '../../kernel/clock.ts';
import type { PendingSignIn } from './identity-provider.ts';
import { networkOf } from './login-attempts.ts';

/** How long somebody may take at the provider. */
export const pendingMs = 10 * 60_000;
/** Of one address (of IPv6: one network of 64 bits), and in all. Those begun first are forgotten. */
const most = { address: 50, all: 2_000 } as const;

interface Pending {
  readonly signIn: PendingSignIn;
  readonly network: string;
  readonly endsAt: number;
}

/**
 * Sign-ins that are at the provider, each by the ticket that its browser keeps in a cookie. Each is taken once. In memory: after a
 * new start, people begin again.
 */
export class PendingSignIns {
  readonly #pending = new Map<string, Pending>();
  readonly #clock: Pick<Clock, 'elapsed'>;

  constructor(clock: Pick<Clock, 'elapsed'>) {
    this.#clock = clock;
  }

  add(signIn: PendingSignIn, address: string): string {
    const ticket = randomBytes(32).toString('base64url');
    const network = networkOf(address);
    this.#pending.set(ticket, { signIn, network, endsAt: this.#clock.elapsed() + pendingMs });
    const ofAddress = [...this.#pending].filter(([, pending]) => pending.network === network);
    const [[oldest = ''] = []] = ofAddress.length > most.address ? ofAddress : this.#pending;
    if (ofAddress.length > most.address || this.#pending.size > most.all) this.#pending.delete(oldest);
    return ticket;
  }

  take(ticket: string): PendingSignIn | undefined {
    const found = this.#pending.get(ticket);
    this.#pending.delete(ticket);
    return found !== undefined && found.endsAt > this.#clock.elapsed() ? found.signIn : undefined;
  }
}
