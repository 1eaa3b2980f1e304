import type { AgentStore } from '../../agents/ports.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId, UserId } from '../../kernel/ids.ts';
import { type Account, agentAccount, holderOf, userAccount } from './account.ts';
import { type Dimension, dimensionNames, isMetered, isOfAgents } from './dimension.ts';
import { defaultPlanName, type Plan, type Policy, type SomeLimits, unsaid } from './policy.ts';
import type { QuotaStore } from './quota-store.ts';
import type { Limits, Terms, TermsSource } from './terms.ts';

/** Accounts whose terms are remembered; the ones asked for longest ago go first. */
const mostRemembered = 4_096;

/** As in `Policy`; `default` takes back what was said of a dimension. */
export type LimitsChange = { readonly [Name in Dimension]?: number | null | 'default' | undefined };

export interface PolicyChange {
  /** Of the policy that was changed: another one in between is a conflict. */
  readonly version: number;
  readonly plan?: string | null | undefined;
  readonly timeZone?: string | null | undefined;
  readonly limits?: LimitsChange | undefined;
}

/** Who said what limit holds. */
export type LimitSource = 'own' | 'plan' | 'default';

interface QuotaBookOptions {
  readonly store: QuotaStore;
  readonly agents: Pick<AgentStore, 'findAgent' | 'findConversation'>;
  /** Of users, where neither they nor their plan say otherwise. */
  readonly defaults: Limits;
}

/**
 * What everyone may use, and its changes. A change holds from the moment at which it resolves: only one control plane uses
 * a store, so what is remembered here is what is stored.
 */
export class QuotaBook implements TermsSource {
  readonly #options: QuotaBookOptions;
  readonly #terms = new Map<Account, Terms>();
  readonly #listeners = new Set<() => void>();
  #generation = 0;

  constructor(options: QuotaBookOptions) {
    this.#options = options;
  }

  async of(account: Account): Promise<Terms> {
    const known = this.#terms.get(account);
    if (known !== undefined) {
      this.#terms.delete(account);
      this.#terms.set(account, known);
      return known;
    }
    const generation = this.#generation;
    const terms = await this.#read(account);
    if (generation !== this.#generation) return terms;
    this.#terms.set(account, terms);
    if (this.#terms.size > mostRemembered) {
      const oldest = this.#terms.keys().next();
      if (!oldest.done) this.#terms.delete(oldest.value);
    }
    return terms;
  }

  /** Version 0 where nothing was said. */
  async policy(account: Account): Promise<Policy> {
    return (await this.#options.store.findPolicy(account)) ?? unsaid;
  }

  /** Where each limit of an account comes from. */
  async sources(account: Account): Promise<Readonly<Record<Dimension, LimitSource>>> {
    const policy = await this.policy(account);
    const plan = holderOf(account).kind === 'user' ? await this.#planOf(policy) : {};
    const sourceOf = (name: Dimension): LimitSource =>
      policy.limits[name] !== undefined ? 'own' : plan[name] !== undefined ? 'plan' : 'default';
    return recordOf(sourceOf);
  }

  /**
   * @throws CaissonError QUOTA_CONFLICT, which names the present version; PLAN_NOT_FOUND; BAD_REQUEST for what an agent or a
   *   conversation cannot have; AGENT_NOT_FOUND, CONVERSATION_NOT_FOUND.
   */
  async change(account: Account, change: PolicyChange): Promise<Policy> {
    const { store } = this.#options;
    const before = await this.policy(account);
    if (before.version !== change.version) throw conflict(account, before.version);
    const { plan = before.plan, timeZone = before.timeZone } = change;
    const limits = changed(before.limits, change.limits ?? {});
    if (holderOf(account).kind !== 'user') requirePart(account, { plan, timeZone, limits });
    const policy = { plan, timeZone, limits, version: before.version };
    const { agentId } = await this.#placeOf(account);
    switch (await store.savePolicy(account, policy, agentId)) {
      case 'changed':
        throw conflict(account, (await this.policy(account)).version);
      case 'no_plan':
        throw planNotFound(String(plan));
      case 'saved':
        this.#forget();
        return { ...policy, version: before.version + 1 };
    }
  }

  async plans(): Promise<readonly Plan[]> {
    return await this.#options.store.listPlans();
  }

  /** A new plan is one of version 0. Errors: QUOTA_CONFLICT. */
  async changePlan(name: string, change: { readonly version: number; readonly limits: LimitsChange }): Promise<Plan> {
    const { store } = this.#options;
    const before = (await store.findPlan(name)) ?? { name, limits: {}, version: 0 };
    const plan = { name, limits: changed(before.limits, change.limits), version: change.version };
    if (before.version !== change.version || !(await store.savePlan(plan))) {
      throw conflict(`plan ${name}`, (await store.findPlan(name))?.version ?? 0);
    }
    this.#forget();
    return { ...plan, version: change.version + 1 };
  }

  /** Errors: PLAN_NOT_FOUND, PLAN_IN_USE, QUOTA_CONFLICT. */
  async removePlan(name: string, version: number): Promise<void> {
    const { store } = this.#options;
    const present = await store.findPlan(name);
    if (present === undefined) throw planNotFound(name);
    switch (await store.removePlan(name, version)) {
      case 'changed':
        throw conflict(`plan ${name}`, (await store.findPlan(name))?.version ?? 0);
      case 'in_use':
        throw new CaissonError('PLAN_IN_USE', `There are users with the plan ${name}.`);
      case 'removed':
        this.#forget();
    }
  }

  /** Calls `listener`, which must not throw, after every change. */
  onChanged(listener: () => void): void {
    this.#listeners.add(listener);
  }

  async #read(account: Account): Promise<Terms> {
    const { defaults } = this.#options;
    const { ownerId, agentId } = await this.#placeOf(account);
    const policy = await this.policy(account);
    if (ownerId === undefined) {
      const plan = await this.#planOf(policy);
      const limitOf = (name: Dimension): number | null => first(policy.limits[name], plan[name], defaults[name]);
      return { limits: recordOf(limitOf), timeZone: policy.timeZone ?? 'UTC', agentId };
    }
    const { timeZone } = await this.of(userAccount(ownerId));
    return { limits: recordOf((name) => policy.limits[name] ?? null), timeZone, agentId };
  }

  async #planOf(policy: Policy): Promise<SomeLimits> {
    return (await this.#options.store.findPlan(policy.plan ?? defaultPlanName))?.limits ?? {};
  }

  /** `ownerId` is undefined for the account of a user. */
  async #placeOf(account: Account): Promise<{ readonly ownerId?: UserId; readonly agentId: AgentId | null }> {
    const { agents } = this.#options;
    const holder = holderOf(account);
    switch (holder.kind) {
      case 'user':
        return { agentId: null };
      case 'agent': {
        const agent = await agents.findAgent(holder.id);
        if (agent === undefined) throw new CaissonError('AGENT_NOT_FOUND', `There is no agent ${holder.id}.`);
        return { ownerId: agent.ownerId, agentId: agent.id };
      }
      case 'conversation': {
        const conversation = await agents.findConversation(holder.id);
        if (conversation === undefined) {
          throw new CaissonError('CONVERSATION_NOT_FOUND', `There is no conversation ${holder.id}.`);
        }
        return await this.#placeOf(agentAccount(conversation.agentId));
      }
    }
  }

  #forget(): void {
    this.#generation += 1;
    this.#terms.clear();
    for (const listener of this.#listeners) listener();
  }
}

function changed(before: SomeLimits, change: LimitsChange): SomeLimits {
  const after: { [Name in Dimension]?: number | null } = { ...before };
  for (const name of dimensionNames) {
    const said = change[name];
    if (said === undefined) continue;
    if (said === 'default') delete after[name];
    else after[name] = said;
  }
  return after;
}

/** An agent or a conversation has a budget within that of its owner, and nothing else. */
function requirePart(account: Account, { plan, timeZone, limits }: Omit<Policy, 'version'>): void {
  const isAllowed = holderOf(account).kind === 'agent' ? isOfAgents : isMetered;
  const wrong = dimensionNames.find((name) => limits[name] !== undefined && !isAllowed(name));
  if (plan === null && timeZone === null && wrong === undefined) return;
  const what = wrong === undefined ? 'A plan or a time zone' : `A limit of ${wrong}`;
  throw new CaissonError('BAD_REQUEST', `${what} can only be given to a user.`, {
    hint: `An agent can have a limit of ${dimensionNames.filter(isOfAgents).join(', ')}, a conversation of what is metered.`,
  });
}

function recordOf<T>(valueOf: (name: Dimension) => T): Readonly<Record<Dimension, T>> {
  const entries = dimensionNames.map((name) => [name, valueOf(name)]);
  return Object.fromEntries(entries) as Record<Dimension, T>;
}

function first(...said: readonly (number | null | undefined)[]): number | null {
  return said.find((each) => each !== undefined) ?? null;
}

function conflict(what: string, version: number): CaissonError {
  return new CaissonError('QUOTA_CONFLICT', `The quotas of ${what} have changed meanwhile.`, { details: { version } });
}

function planNotFound(name: string): CaissonError {
  return new CaissonError('PLAN_NOT_FOUND', `There is no plan ${name}.`);
}
