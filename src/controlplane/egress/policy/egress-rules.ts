import { isIP } from 'node:net';
import type { Agent } from '../../../agents/agent.ts';
import type { AgentStore } from '../../../agents/ports.ts';
import { CaissonError } from '../../../kernel/errors.ts';
import { type AgentId, type EgressRuleId, newEgressRuleId, type UserId } from '../../../kernel/ids.ts';
import type { Logger } from '../../../kernel/logger.ts';
import type { SteadyClock } from '../../../kernel/steady-clock.ts';
import { AgentPages } from '../agent-pages.ts';
import type { EgressTarget } from '../ports.ts';
import { isPrivateAddress } from '../public-address.ts';
import {
  type EffectiveMode,
  type EgressDefaults,
  type EgressLayers,
  effectiveMode,
  judge,
  type Judgement,
  widestMode,
} from './judge.ts';
import {
  effectsOfScope,
  type EgressMode,
  type EgressPolicyRecord,
  type EgressPolicyStore,
  type EgressRule,
  type EgressScope,
  type RuleEffect,
  type RuleSubject,
} from './policy.ts';

interface EgressRulesOptions {
  readonly store: EgressPolicyStore;
  readonly agents: Pick<AgentStore, 'findAgent'>;
  readonly defaults: EgressDefaults;
  readonly clock: SteadyClock;
  readonly logger: Logger;
}

export interface NewEgressRule {
  readonly effect: RuleEffect;
  readonly subject: RuleSubject;
  /** Milliseconds since the epoch. Null: never. */
  readonly expiresAt: number | null;
  readonly why: string | null;
}

export interface EgressRulesChange {
  readonly by: UserId;
  /** Undefined: as it is. Null: the default. */
  readonly mode?: EgressMode | null | undefined;
  readonly add?: readonly NewEgressRule[];
  readonly remove?: readonly EgressRuleId[];
  /** Undefined: whatever the version is. */
  readonly ifVersion?: number | undefined;
  readonly why?: string | null;
}

/** What becomes of a connection, and whose agent it is. */
export interface JudgedConnection {
  readonly judgement: Judgement;
  readonly ownerId: UserId;
}

/** The clock may jump, and a timer does not see it: so often at least is looked at what has expired. */
const longestWaitMs = 60_000;

/**
 * The policies of the operator, of users and of agents, and what they say of a connection. A change holds from the moment at
 * which it is stored; those that listen (`onChanged`) decide anew what is open or waits. So it is when a rule expires.
 */
export class EgressRules implements Disposable {
  readonly #options: EgressRulesOptions;
  /** The policies that agents stand under, and whose agents they are. */
  readonly #pages: AgentPages<{ readonly ownerId: UserId; readonly layers: EgressLayers }>;
  readonly #listeners = new Set<(agentId: AgentId | null) => void>();
  #cancelExpiry = (): void => undefined;
  #isDisposed = false;
  /** One look at a time counts: the one that was begun last. */
  #looks = 0;

  constructor(options: EgressRulesOptions) {
    this.#options = options;
    this.#pages = new AgentPages(options.agents, async ({ id, ownerId }) => {
      return { ownerId, layers: await readLayers(options.store, { id, ownerId }) };
    });
  }

  /** Begins to watch for rules that expire. */
  start(): void {
    void this.#awaitExpiry();
  }

  async get(scope: EgressScope): Promise<EgressPolicyRecord> {
    const [policy] = await this.#options.store.findPolicies([scope]);
    if (policy === undefined) throw new TypeError('The store has left a policy out.');
    return policy;
  }

  /**
   * The mode that the agent acts in, or the widest that agents can have, and whose it is; null for the policy of a user, which
   * has none. Errors: AGENT_NOT_FOUND.
   */
  async effectiveMode(scope: EgressScope): Promise<EffectiveMode | null> {
    const { defaults } = this.#options;
    switch (scope.kind) {
      case 'agent':
        return effectiveMode((await this.#pages.open(scope.agentId)).layers, defaults);
      case 'user':
        return null;
      case 'ceiling':
        return widestMode({ operator: await this.get({ kind: 'operator' }), ceiling: await this.get(scope) }, defaults);
      case 'operator':
        return widestMode({ operator: await this.get(scope) }, defaults);
    }
  }

  /**
   * Changes one policy, all of it or nothing, and answers what it is then. A rule takes the place of one that says the same
   * of the same. Errors: EGRESS_POLICY_CHANGED, LIMIT_REACHED, AGENT_NOT_FOUND; BAD_REQUEST for what the scope cannot have, and for
   * what no rule can let out to.
   */
  async change(scope: EgressScope, change: EgressRulesChange): Promise<EgressPolicyRecord> {
    const { by, mode, add = [], remove = [], ifVersion = null, why = null } = change;
    const at = this.#options.clock.now();
    checkFits(scope, mode, add);
    const rules = add.map((rule): EgressRule => ({ ...rule, id: newEgressRuleId(), addedBy: by, addedAt: at }));
    let changed: EgressPolicyRecord;
    try {
      changed = await this.#options.store.changePolicy(scope, { ifVersion, mode, add: rules, remove, by, at, why });
    } finally {
      this.#pages.forget(); // also where it is not known whether it was stored
    }
    this.#tell(scope.kind === 'agent' ? scope.agentId : null);
    void this.#awaitExpiry();
    return changed;
  }

  /** What the policies say of a connection right now. Errors: AGENT_NOT_FOUND. */
  async judge(agentId: AgentId, target: EgressTarget): Promise<JudgedConnection> {
    const { ownerId, layers } = await this.#pages.open(agentId);
    const { defaults, clock } = this.#options;
    return { judgement: judge(target, layers, { defaults, now: clock.now() }), ownerId };
  }

  /** Calls `listener`, which must not throw, when a policy of the agent (null: of any) may say something else than before. */
  onChanged(listener: (agentId: AgentId | null) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#cancelExpiry();
    this.#listeners.clear();
  }

  #tell(agentId: AgentId | null): void {
    for (const listener of this.#listeners) listener(agentId);
  }

  async #awaitExpiry(): Promise<void> {
    const { store, clock, logger } = this.#options;
    const look = ++this.#looks;
    const now = clock.now();
    let next: number | null = null;
    try {
      next = await store.nextExpiry(now);
    } catch (thrown) {
      logger.warn({ err: thrown }, 'it could not be read when egress rules expire; it is tried again');
      next = now + longestWaitMs;
    }
    if (this.#isDisposed || look !== this.#looks) return;
    this.#cancelExpiry();
    if (next === null) return;
    const expiresAt = next;
    this.#cancelExpiry = clock.schedule(Math.min(longestWaitMs, Math.max(0, expiresAt - now)), () => {
      if (clock.now() >= expiresAt) this.#tell(null);
      void this.#awaitExpiry();
    });
  }
}

async function readLayers(
  store: EgressPolicyStore,
  { id: agentId, ownerId: userId }: Pick<Agent, 'id' | 'ownerId'>,
): Promise<EgressLayers> {
  const [operator, ceiling, user, agent] = await store.findPolicies([
    { kind: 'operator' },
    { kind: 'ceiling', userId },
    { kind: 'user', userId },
    { kind: 'agent', agentId },
  ]);
  if (operator === undefined || ceiling === undefined || user === undefined || agent === undefined) {
    throw new TypeError('The store has left a policy out.');
  }
  return { operator, ceiling, user, agent };
}

function checkFits({ kind }: EgressScope, mode: EgressMode | null | undefined, add: readonly NewEgressRule[]): void {
  if (mode !== undefined && kind === 'user') {
    throw new CaissonError('BAD_REQUEST', 'What a user always allows has no mode: agents and ceilings have one.');
  }
  const effects: readonly RuleEffect[] = effectsOfScope[kind];
  for (const { effect, subject } of add) {
    if (!effects.includes(effect)) {
      throw new CaissonError('BAD_REQUEST', `A rule of this policy cannot ${effect}; it can ${effects.join(' or ')}.`);
    }
    if (effect === 'deny' || 'preset' in subject) continue;
    checkReachable(subject.host);
  }
}

/** What a rule lets out to. What it names in vain would look as if it were allowed. */
function checkReachable(host: string): void {
  if (/^\*(\.[^.]+)?$/.test(host)) {
    throw new CaissonError(
      'BAD_REQUEST',
      `A rule that lets out must name a host, or names under one: ${host} is too much.`,
      { hint: 'Use a name such as *.example.com, or the mode `open`.' },
    );
  }
  if (!host.includes('.') && isIP(host) === 0) {
    throw new CaissonError('BAD_REQUEST', `${host} is no preset, and no host of the world: those have a dot.`, {
      hint: '`caisson egress presets` lists the presets. An operator names hosts of the own network in CAISSON_EGRESS_INTERNAL.',
    });
  }
  if (!isPrivateAddress(host)) return;
  throw new CaissonError('BAD_REQUEST', `${host} is an address that is not public, which no rule can allow.`, {
    hint: 'An operator names hosts of the own network in CAISSON_EGRESS_INTERNAL, each with its port: every agent reaches them.',
  });
}
