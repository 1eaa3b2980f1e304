import type { AgentStore } from '../../../src/agents/ports.ts';
import { type Account, agentAccount, userAccount } from '../../../src/controlplane/quotas/account.ts';
import { type Crossing, StoredLedger } from '../../../src/controlplane/quotas/stored-ledger.ts';
import { type Limits, noLimits, type TermsSource } from '../../../src/controlplane/quotas/terms.ts';
import { openStorage } from '../../../src/controlplane/storage/open-storage.ts';
import type { Clock } from '../../../src/kernel/clock.ts';
import { newUserId } from '../../../src/kernel/ids.ts';
import { storedAgent } from '../../contracts/store-records.ts';
import { dataDirectory } from '../storage/data-directory.ts';
import { recordingLogger } from '../recording-logger.ts';

/** Whose wall clock a test can set, while time itself goes on. */
export class JumpingClock implements Clock {
  #wall: number;
  #elapsed = 0;

  constructor(now: string) {
    this.#wall = Date.parse(now);
  }

  now(): number {
    return this.#wall;
  }

  elapsed(): number {
    return this.#elapsed;
  }

  schedule(): () => void {
    return () => undefined;
  }

  pass(ms: number): void {
    this.#wall += ms;
    this.#elapsed += ms;
  }

  /** Somebody sets the clock. */
  jumpTo(now: string): void {
    this.#wall = Date.parse(now);
  }
}

export const hour = 3_600_000;

export const user = userAccount(newUserId());

/** A ledger in a real database, with limits that a test sets. */
export class TestLedger implements AsyncDisposable {
  readonly #directory = dataDirectory();
  readonly limits = new Map<Account, Partial<Limits>>();
  readonly crossings: Crossing[] = [];
  timeZone = 'UTC';
  clock: JumpingClock;
  #storage: Awaited<ReturnType<typeof openStorage>> | undefined;
  #ledger: StoredLedger | undefined;

  private constructor(clock: JumpingClock) {
    this.clock = clock;
  }

  static async open(now = '2026-03-10T12:00:00Z'): Promise<TestLedger> {
    const test = new TestLedger(new JumpingClock(now));
    await test.#open();
    return test;
  }

  get ledger(): StoredLedger {
    if (this.#ledger === undefined) throw new Error('The ledger is not open.');
    return this.#ledger;
  }

  get agents(): AgentStore {
    if (this.#storage === undefined) throw new Error('The store is not open.');
    return this.#storage.agents;
  }

  get path(): string {
    return this.#directory.path;
  }

  /** An agent in the store, and its account. */
  async agent() {
    const { agent } = await storedAgent(this.agents);
    return { id: agent.id, account: agentAccount(agent.id) };
  }

  /** Another process takes over, at `now` by its clock. */
  async restart(now = new Date(this.clock.now()).toISOString()): Promise<void> {
    await this.close();
    this.clock = new JumpingClock(now);
    await this.#open();
  }

  async #open(): Promise<void> {
    const terms: TermsSource = {
      of: async (account) => {
        const agentId = account.startsWith('agent:') ? (account.slice(6) as never) : null;
        return { limits: { ...noLimits, ...this.limits.get(account) }, timeZone: this.timeZone, agentId };
      },
    };
    this.#storage = await openStorage(this.#directory.path);
    const logger = recordingLogger([]);
    this.#ledger = await StoredLedger.open({ store: this.#storage.ledger, terms, clock: this.clock, logger });
    this.#ledger.onCrossing((crossing) => this.crossings.push(crossing));
  }

  /** Lets another process have the store. */
  async close(): Promise<void> {
    this.#ledger?.[Symbol.dispose]();
    await this.#storage?.close();
    this.#storage = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    this.#directory[Symbol.dispose]();
  }
}
