import type { Agent } from '../../agents/agent.ts';
import type { Clock } from '../../kernel/clock.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import { SerialQueue } from '../../kernel/serial-queue.ts';
import { type Account, agentAccount, userAccount } from '../quotas/account.ts';
import type { Charge, Ledger, Reservation } from '../quotas/ledger.ts';
import type { EgressMeter } from './ports.ts';

/** Room that is reserved at a time: a connection of 80 MB/s asks the ledger 20 times a second. */
const lumpBytes = 4 * 1024 * 1024;
/** How long what has gone through may be missing in what people are shown as used. */
const settleAfterMs = 5_000;
/** How long what a process that died had reserved is held. */
const expiresInMs = 60_000;

interface LedgerMeterOptions {
  readonly ledger: Ledger;
  readonly findAgent: (id: AgentId) => Promise<Agent | undefined>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Counts egress in the ledger of quotas, on the agent and on its owner. Room is reserved in lumps of 4 MiB, of which all
 * connections of the agent take; where there is no room for a lump, for exactly what asks. So a quota is never exceeded, and
 * is used to the last piece that fits; one that is lowered holds from the next lump on. A lump is settled when it is used up, and after 5 s at the latest; what a killed
 * process had not settled, at most 4 MiB an agent, goes uncounted.
 */
export class LedgerMeter implements EgressMeter, AsyncDisposable {
  readonly #options: LedgerMeterOptions;
  /** Agents with a lump, or with somebody who waits for one. */
  readonly #agents = new Map<AgentId, AgentMeter>();

  constructor(options: LedgerMeterOptions) {
    this.#options = options;
  }

  take(agentId: AgentId, bytes: number): Promise<void> | void {
    let meter = this.#agents.get(agentId);
    if (meter === undefined) {
      meter = new AgentMeter(agentId, { ...this.#options, onIdle: () => this.#agents.delete(agentId) });
      this.#agents.set(agentId, meter);
    }
    return meter.take(bytes);
  }

  /** Settles what is open. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#agents.values()].map((meter) => meter.settle()));
  }
}

class AgentMeter {
  readonly #agentId: AgentId;
  readonly #options: LedgerMeterOptions & { readonly onIdle: () => void };
  readonly #queue = new SerialQueue();
  #accounts: readonly Account[] = [];
  #reservation: Reservation | undefined;
  #room = 0;
  #used = 0;
  #waiting = 0;
  #cancelSettling: () => void = () => undefined;

  constructor(agentId: AgentId, options: LedgerMeterOptions & { readonly onIdle: () => void }) {
    this.#agentId = agentId;
    this.#options = options;
  }

  take(bytes: number): Promise<void> | void {
    if (this.#waiting === 0 && this.#spend(bytes)) return undefined;
    return this.#inTurn(async () => {
      if (this.#spend(bytes)) return;
      await this.#settle();
      await this.#reserve(bytes);
      this.#spend(bytes);
    });
  }

  async settle(): Promise<void> {
    await this.#inTurn(() => this.#settle());
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    this.#waiting += 1;
    try {
      await this.#queue.run(work);
    } finally {
      this.#waiting -= 1;
      if (this.#waiting === 0 && this.#reservation === undefined) this.#options.onIdle();
    }
  }

  #spend(bytes: number): boolean {
    if (this.#reservation === undefined || this.#room < bytes) return false;
    this.#room -= bytes;
    this.#used += bytes;
    return true;
  }

  async #reserve(bytes: number): Promise<void> {
    const { ledger, findAgent, clock } = this.#options;
    const agent = await findAgent(this.#agentId);
    if (agent === undefined) throw new CaissonError('AGENT_NOT_FOUND', `There is no agent ${this.#agentId}.`);
    this.#accounts = [userAccount(agent.ownerId), agentAccount(agent.id)];
    const reserve = (amount: number) => ledger.reserve(charges(this.#accounts, amount), { expiresInMs });
    const lump = Math.max(bytes, lumpBytes);
    try {
      this.#reservation = await reserve(lump);
      this.#room = lump;
    } catch (thrown) {
      if (!(thrown instanceof CaissonError) || thrown.code !== 'QUOTA_EXCEEDED' || lump === bytes) throw thrown;
      this.#reservation = await reserve(bytes);
      this.#room = bytes;
    }
    this.#cancelSettling = clock.schedule(settleAfterMs, () => void this.#settleInTime());
  }

  async #settle(): Promise<void> {
    const reservation = this.#reservation;
    if (reservation === undefined) return;
    this.#room = 0; // whoever takes meanwhile waits for its turn
    await reservation.settle(charges(this.#accounts, this.#used));
    this.#cancelSettling(); // where it failed it is tried again
    this.#reservation = undefined;
    this.#used = 0;
  }

  async #settleInTime(): Promise<void> {
    const { logger, clock } = this.#options;
    try {
      await this.settle();
    } catch (err) {
      logger.warn({ err, agentId: this.#agentId }, 'egress could not be counted; it is tried again');
      this.#cancelSettling = clock.schedule(settleAfterMs, () => void this.#settleInTime());
    }
  }
}

function charges(accounts: readonly Account[], amount: number): readonly Charge[] {
  return accounts.map((account) => ({ account, dimension: 'egress_bytes' as const, amount }));
}
