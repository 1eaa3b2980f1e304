import type { Agent } from '../../agents/agent.ts';
import type { AgentStore } from '../../agents/ports.ts';
import { quotaExceeded } from '../../agents/quota-exceeded.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { CaissonError } from '../../kernel/errors.ts';
import type { AgentId, UserId } from '../../kernel/ids.ts';
import type { DiskUse } from '../../sandbox-providers/contract/index.ts';
import { agentAccount, userAccount } from '../quotas/account.ts';
import type { QuotaBook } from '../quotas/quota-book.ts';
import { type DiskState, type DiskView, isSpent, stateOf } from './disk-state.ts';
import type { DiskStore } from './disk-store.ts';

/** Agents of one owner that are measured because another one was refused. */
const mostMeasured = 32;

interface Entry {
  readonly ownerId: UserId;
  readonly usedBytes: number;
  readonly method: string;
  readonly measuredAt: number;
  readonly state: DiskState;
  /** By which `state` was judged. */
  readonly limitBytes: number | null;
}

interface Sum {
  readonly usedBytes: number;
  readonly limitBytes: number | null;
}

/** What a measurement, or another limit, has changed. */
export interface DiskChange {
  readonly agentId: AgentId;
  readonly ownerId: UserId;
  readonly before: DiskState;
  readonly after: DiskState;
  readonly usedBytes: number;
  readonly limitBytes: number | null;
  /** Since it was measured before; 0 the first time. */
  readonly grewBytes: number;
  /** Of all agents of the owner. */
  readonly user: { readonly before: Sum; readonly after: Sum };
}

interface DiskBookOptions {
  readonly store: DiskStore;
  readonly agents: Pick<AgentStore, 'findAgent'>;
  readonly terms: Pick<QuotaBook, 'of' | 'onChanged'>;
  /** Of an agent that was made without one. Null: no limit. */
  readonly defaultLimitBytes: number | null;
  readonly clock: Clock;
}

type Known = Pick<Agent, 'id' | 'ownerId'>;

/**
 * What each agent takes of the disk, as it was measured last, and what may still be done with it. The limit of an agent is the
 * one that it was made with, or a lower one of its quotas; that of a user is for all agents together. Where something is refused,
 * it is measured anew first: who has just made room is let through. One entry for each agent.
 */
export class DiskBook {
  readonly #options: DiskBookOptions;
  readonly #entries = new Map<AgentId, Entry>();
  readonly #sums = new Map<UserId, Sum>();
  #measure: (agentId: AgentId) => Promise<void> = async () => undefined;
  #isStale = false;

  private constructor(options: DiskBookOptions) {
    this.#options = options;
  }

  static async open(options: DiskBookOptions): Promise<DiskBook> {
    const book = new DiskBook(options);
    for (const { agentId, ...entry } of await options.store.listDisks()) {
      book.#entries.set(agentId, { ...entry, limitBytes: await book.limitOf(agentId) });
    }
    for (const { ownerId } of book.#entries.values()) await book.#sum(ownerId);
    options.terms.onChanged(() => (book.#isStale = true));
    return book;
  }

  /** How an agent is measured at once. Its promise never rejects. */
  measureBy(measure: (agentId: AgentId) => Promise<void>): void {
    this.#measure = measure;
  }

  /** Without a look into the store. */
  view({ id, limits }: Pick<Agent, 'id' | 'limits'>): DiskView {
    const entry = this.#entries.get(id);
    if (entry === undefined) {
      const limitBytes = limits.diskBytes ?? this.#options.defaultLimitBytes;
      return { state: 'unknown', usedBytes: null, limitBytes, method: null, measuredAt: null };
    }
    const { state, usedBytes, limitBytes, method, measuredAt } = entry;
    return { state, usedBytes, limitBytes, method, measuredAt };
  }

  isKnown(agentId: AgentId): boolean {
    return this.#entries.has(agentId);
  }

  /** Resolves when it is. Never rejects. */
  async measureAgain(agentId: AgentId): Promise<void> {
    await this.#measure(agentId);
  }

  /** Whether nothing more may be written by this agent's own limit. */
  isSpent(agentId: AgentId): boolean {
    return isSpent(this.#entries.get(agentId)?.state ?? 'unknown');
  }

  /** Of all agents together, by state; and their bytes. */
  census(): { readonly usedBytes: number; readonly states: Readonly<Record<string, number>> } {
    const states: Record<string, number> = {};
    let usedBytes = 0;
    for (const { state, usedBytes: used } of this.#entries.values()) {
      states[state] = (states[state] ?? 0) + 1;
      usedBytes += used;
    }
    return { usedBytes, states };
  }

  usedByAgent(agentId: AgentId): number {
    return this.#entries.get(agentId)?.usedBytes ?? 0;
  }

  usedByUser(userId: UserId): number {
    return this.#sums.get(userId)?.usedBytes ?? 0;
  }

  /**
   * Whether `bytes` more may be written through the API, or a run be started.
   *
   * @throws CaissonError QUOTA_EXCEEDED of the dimension `disk`.
   */
  async requireRoom(agent: Known, bytes = 0): Promise<void> {
    const refusal = await this.refusalFor(agent, bytes);
    if (refusal !== undefined) throw refusal;
  }

  /** What `requireRoom` would throw. */
  async refusalFor(agent: Known, bytes = 0): Promise<CaissonError | undefined> {
    if (this.#refusal(agent, bytes) === undefined) return undefined;
    await this.#measure(agent.id);
    if (this.#isUserFull(agent.ownerId, bytes)) await this.#measureOthers(agent);
    return this.#refusal(agent, bytes);
  }

  /**
   * Whether anything may be started that could write on: not in a sandbox that was stopped for going on beyond its limit, until
   * files are removed.
   *
   * @throws CaissonError QUOTA_EXCEEDED.
   */
  async requireNotOver(agent: Known): Promise<void> {
    if (this.#entries.get(agent.id)?.state !== 'over') return;
    await this.#measure(agent.id);
    if (this.#entries.get(agent.id)?.state === 'over') throw this.#refusal(agent, 0);
  }

  /** What the owner's next agent is refused with. */
  async refusalForAgent(ownerId: UserId): Promise<CaissonError | undefined> {
    await this.#sum(ownerId);
    if (!this.#isUserFull(ownerId, 0)) return undefined;
    await this.#measureOthers({ ownerId });
    return this.#isUserFull(ownerId, 0) ? this.#userRefusal(ownerId, 1) : undefined;
  }

  /** Notes what was measured; null where it could not be in time. Undefined when the agent is gone. */
  async note(agentId: AgentId, use: DiskUse | null): Promise<DiskChange | undefined> {
    const { agents, clock } = this.#options;
    const agent = await agents.findAgent(agentId);
    if (agent === undefined) {
      await this.#forget(agentId);
      return undefined;
    }
    const limitBytes = await this.limitOf(agentId);
    const before = this.#entries.get(agentId);
    const usedBytes = use?.usedBytes ?? before?.usedBytes ?? 0;
    const state = use === null && limitBytes !== null ? 'unmeasured' : stateOf(usedBytes, limitBytes);
    const { method } = use ?? before ?? { method: 'not in time' };
    const entry = { ownerId: agent.ownerId, usedBytes, method, measuredAt: clock.now(), state, limitBytes };
    return await this.#replace(agentId, before, entry);
  }

  /** Forgets agents that are gone. */
  async forgetOthers(agents: readonly { readonly id: AgentId }[]): Promise<void> {
    const living = new Set(agents.map(({ id }) => id));
    for (const agentId of this.#entries.keys()) if (!living.has(agentId)) await this.#forget(agentId);
  }

  /** Where limits have changed. What throws is to be asked again. */
  async judgeAnew(): Promise<readonly DiskChange[]> {
    if (!this.#isStale) return [];
    this.#isStale = false;
    try {
      return await this.#judgeAll();
    } catch (thrown) {
      this.#isStale = true;
      throw thrown;
    }
  }

  async #judgeAll(): Promise<readonly DiskChange[]> {
    const changes: DiskChange[] = [];
    for (const agentId of this.#entries.keys()) {
      const limitBytes = await this.limitOf(agentId);
      const before = this.#entries.get(agentId); // it may have been measured, or forgotten, meanwhile
      if (before === undefined) continue;
      const state = before.state === 'unmeasured' ? 'unmeasured' : stateOf(before.usedBytes, limitBytes);
      changes.push(await this.#replace(agentId, before, { ...before, limitBytes, state }));
    }
    return changes;
  }

  async #replace(agentId: AgentId, before: Entry | undefined, entry: Entry): Promise<DiskChange> {
    const { ownerId, usedBytes, limitBytes, state, method, measuredAt } = entry;
    const sumBefore = this.#sums.get(ownerId) ?? { usedBytes: 0, limitBytes: null };
    this.#entries.set(agentId, entry);
    const sumAfter = await this.#sum(ownerId);
    if (before?.usedBytes !== usedBytes || before.state !== state) {
      await this.#options.store.saveDisk({ agentId, usedBytes, method, state, measuredAt });
    }
    return {
      agentId,
      ownerId,
      before: before?.state ?? 'unknown',
      after: state,
      usedBytes,
      limitBytes,
      grewBytes: before === undefined ? 0 : usedBytes - before.usedBytes,
      user: { before: sumBefore, after: sumAfter },
    };
  }

  async #sum(ownerId: UserId): Promise<Sum> {
    const { disk: limitBytes } = (await this.#options.terms.of(userAccount(ownerId))).limits;
    let usedBytes = 0;
    for (const entry of this.#entries.values()) if (entry.ownerId === ownerId) usedBytes += entry.usedBytes;
    const sum = { usedBytes, limitBytes };
    this.#sums.set(ownerId, sum);
    return sum;
  }

  /** What holds for an agent: the limit that it was made with, or a lower one of its quotas. Null: none. */
  async limitOf(agentId: AgentId): Promise<number | null> {
    const agent = await this.#options.agents.findAgent(agentId);
    if (agent === undefined) return null;
    const { disk } = (await this.#options.terms.of(agentAccount(agentId))).limits;
    const own = agent.limits.diskBytes ?? this.#options.defaultLimitBytes;
    return own === null || disk === null ? (own ?? disk) : Math.min(own, disk);
  }

  /** The largest ones: room may have been made in any of them. */
  async #measureOthers({ id, ownerId }: { readonly id?: AgentId; readonly ownerId: UserId }): Promise<void> {
    const others = [...this.#entries].filter(([agentId, entry]) => entry.ownerId === ownerId && agentId !== id);
    const largest = others.toSorted(([, one], [, other]) => other.usedBytes - one.usedBytes).slice(0, mostMeasured);
    await Promise.all(largest.map(([agentId]) => this.#measure(agentId)));
  }

  #isUserFull(ownerId: UserId, bytes: number): boolean {
    const { usedBytes = 0, limitBytes = null } = this.#sums.get(ownerId) ?? {};
    return limitBytes !== null && (usedBytes >= limitBytes || usedBytes + bytes > limitBytes);
  }

  #refusal({ id, ownerId }: Known, bytes: number): CaissonError | undefined {
    const { state, usedBytes, limitBytes } = this.#entries.get(id) ?? { state: 'ok', usedBytes: 0, limitBytes: null };
    if (limitBytes !== null && (isSpent(state) || usedBytes + bytes > limitBytes)) {
      const hint =
        state === 'unmeasured'
          ? 'It has too many files to be measured in time: remove some of them.'
          : 'Remove files of this agent (`caisson files rm`), or ask for more. It is measured anew when you try again.';
      return quotaExceeded({ dimension: 'disk', of: 'agent', limit: limitBytes, used: usedBytes, asked: bytes, hint });
    }
    return this.#isUserFull(ownerId, bytes) ? this.#userRefusal(ownerId, bytes) : undefined;
  }

  #userRefusal(ownerId: UserId, asked: number): CaissonError {
    const { usedBytes: used = 0, limitBytes } = this.#sums.get(ownerId) ?? {};
    const hint = 'Remove files, or whole agents, of this user, or ask an administrator for more.';
    return quotaExceeded({ dimension: 'disk', limit: limitBytes ?? 0, used, asked, hint });
  }

  async #forget(agentId: AgentId): Promise<void> {
    const entry = this.#entries.get(agentId);
    if (!this.#entries.delete(agentId) || entry === undefined) return;
    const { ownerId } = entry;
    const isLast = ![...this.#entries.values()].some((each) => each.ownerId === ownerId);
    if (isLast) this.#sums.delete(ownerId);
    else await this.#sum(ownerId);
  }
}
