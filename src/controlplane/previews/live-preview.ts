import type { Agent } from '../../agents/agent.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { GuestClient } from '../../wire/guest-client.ts';
import type { Preview } from './preview.ts';
import { PortAgent } from './port-agent.ts';

/** Requests and sockets of one preview that may be under way at the same time; most wait for a connection to the app. */
const mostOpen = 512;
/** Of these, sockets that were upgraded: they keep their connection for as long as they live. */
const mostUpgraded = 48;

/** How a visit is ended from outside. */
export interface Visit extends Disposable {
  /** False when the preview was ended. */
  readonly isOpen: boolean;
}

/** A preview that visitors use, with all that is open through it. Whoever ends it ends all of that, at once. */
export class LivePreview {
  readonly preview: Preview;
  readonly agent: Agent;
  /** Connections to the app. */
  readonly connections: PortAgent;
  /** When the store was last asked whether it may still be used; by a clock that does not jump. */
  checkedAt: number;
  readonly #findGuest: () => Promise<GuestClient | undefined>;
  readonly #visits = new Set<() => void>();
  #upgraded = 0;
  #isOver = false;

  constructor(options: {
    readonly preview: Preview;
    readonly agent: Agent;
    readonly checkedAt: number;
    readonly findGuest: () => Promise<GuestClient | undefined>;
  }) {
    this.preview = options.preview;
    this.agent = options.agent;
    this.checkedAt = options.checkedAt;
    this.#findGuest = options.findGuest;
    this.connections = new PortAgent(async () => {
      const guest = await this.guest();
      return await guest.ports.connect(this.preview.port, { allowHalfOpen: false });
    });
  }

  get isInUse(): boolean {
    return this.#visits.size > 0;
  }

  /** The agent's guest, as it is: a visit starts no sandbox. Rejects with SANDBOX_NOT_RUNNING. */
  async guest(): Promise<GuestClient> {
    const guest = await this.#findGuest();
    if (guest !== undefined) return guest;
    throw new CaissonError('SANDBOX_NOT_RUNNING', 'The sandbox of this app is not running.');
  }

  /** Counts a visit until it is disposed of; `cut` ends it. Throws LIMIT_REACHED. */
  enter(kind: 'request' | 'socket', cut: () => void): Visit {
    const isSocket = kind === 'socket';
    if (this.#visits.size >= mostOpen || (isSocket && this.#upgraded >= mostUpgraded)) {
      throw new CaissonError('LIMIT_REACHED', 'Too many requests of this preview are under way.', {
        hint: 'Close other tabs of this app, and try again.',
      });
    }
    const isOver = (): boolean => this.#isOver;
    this.#visits.add(cut);
    if (isSocket) this.#upgraded++;
    return {
      get isOpen() {
        return !isOver();
      },
      [Symbol.dispose]: () => {
        if (this.#visits.delete(cut) && isSocket) this.#upgraded--;
      },
    };
  }

  end(): void {
    this.#isOver = true;
    for (const cut of this.#visits) cut();
    this.connections.destroy();
  }
}
