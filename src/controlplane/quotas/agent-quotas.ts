import type { Agent } from '../../agents/agent.ts';
import type { HeldMinute, OwnerLimits, Quotas } from '../../agents/ports.ts';
import { quotaExceeded } from '../../agents/quota-exceeded.ts';
import type { CaissonError } from '../../kernel/errors.ts';
import type { ConversationId, UserId } from '../../kernel/ids.ts';
import type { DiskBook } from '../disk/disk-book.ts';
import type { HostDisk } from '../disk/host-disk.ts';
import { type Account, agentAccount, conversationAccount, holderOf, userAccount } from './account.ts';
import type { MeteredDimension } from './dimension.ts';
import type { Charge, Ledger } from './ledger.ts';
import type { QuotaBook } from './quota-book.ts';
import type { Balance, StoredLedger } from './stored-ledger.ts';

/** Without these no turn can be made. */
const neededByRuns = ['tokens', 'cost'] as const satisfies readonly MeteredDimension[];

/** Longer than any start of a sandbox is waited for. */
const holdMs = 15 * 60_000;

interface AgentQuotasOptions {
  readonly terms: Pick<QuotaBook, 'of' | 'onChanged'>;
  readonly ledger: Ledger & Pick<StoredLedger, 'balance'>;
  readonly disks: Pick<DiskBook, 'refusalFor' | 'refusalForAgent'>;
  /** Default: no disk of the machine is looked at. */
  readonly host?: Pick<HostDisk, 'refusal'> | undefined;
}

/** The quotas as the domain asks for them. What is not limited costs no look into the store. */
export class AgentQuotas implements Quotas {
  readonly #terms: AgentQuotasOptions['terms'];
  readonly #ledger: AgentQuotasOptions['ledger'];
  readonly #disks: AgentQuotasOptions['disks'];
  readonly #host: AgentQuotasOptions['host'];

  constructor({ terms, ledger, disks, host }: AgentQuotasOptions) {
    this.#terms = terms;
    this.#ledger = ledger;
    this.#disks = disks;
    this.#host = host;
  }

  async limitsOf(ownerId: UserId): Promise<OwnerLimits> {
    const { limits } = await this.#terms.of(userAccount(ownerId));
    return {
      agents: limits.agents,
      runningSandboxes: limits.running_sandboxes,
      cpus: limits.cpu,
      memoryBytes: limits.memory,
      messageBytes: limits.message_bytes,
      historyBytes: limits.history_bytes,
    };
  }

  async refusalForRun(
    agent: Pick<Agent, 'id' | 'ownerId'>,
    conversationId: ConversationId,
  ): Promise<CaissonError | undefined> {
    for (const account of [userAccount(agent.ownerId), agentAccount(agent.id), conversationAccount(conversationId)]) {
      for (const dimension of neededByRuns) {
        const refusal = await this.#refusal(account, dimension);
        if (refusal !== undefined) return refusal;
      }
    }
    return await this.#disks.refusalFor(agent);
  }

  async refusalForAgent(ownerId: UserId): Promise<CaissonError | undefined> {
    return await this.#disks.refusalForAgent(ownerId);
  }

  async refusalForStart(): Promise<CaissonError | undefined> {
    return await this.#host?.refusal();
  }

  async holdMinute(agent: Pick<Agent, 'id' | 'ownerId'>): Promise<HeldMinute> {
    const charges = minuteOf(agent);
    const reservation = await this.#ledger.reserve(charges, { expiresInMs: holdMs });
    return { keep: async () => await reservation.settle(charges), giveBack: async () => await reservation.release() };
  }

  onChanged(listener: () => void): void {
    this.#terms.onChanged(listener);
  }

  async #refusal(account: Account, dimension: MeteredDimension): Promise<CaissonError | undefined> {
    if ((await this.#terms.of(account)).limits[dimension] === null) return undefined;
    const { limit, ...balance }: Balance = await this.#ledger.balance(account, dimension);
    // What calls under way hold may come back: the call itself is refused where it does not.
    if (limit === null || balance.used < limit) return undefined;
    return quotaExceeded({ ...balance, limit, of: holderOf(account).kind, dimension, asked: 1 });
  }
}

/** A minute of the sandbox of an agent. */
export function minuteOf({ id, ownerId }: Pick<Agent, 'id' | 'ownerId'>): readonly Charge[] {
  return [userAccount(ownerId), agentAccount(id)].map((account) => ({
    account,
    dimension: 'sandbox_minutes',
    amount: 1,
  }));
}
