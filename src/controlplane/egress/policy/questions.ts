import type { Clock } from '../../../kernel/clock.ts';
import { CaissonError } from '../../../kernel/errors.ts';
import { type AgentId, type EgressRequestId, newEgressRequestId, type UserId } from '../../../kernel/ids.ts';
import type { EgressDecision, EgressTarget } from '../ports.ts';
import { targetText } from '../target.ts';

/** How a question came to its end. `ruled`: the rules were changed, and they no longer ask. */
export type QuestionOutcome = 'once' | 'agent' | 'always' | 'denied' | 'expired' | 'ruled';

/** What people are asked: whether an agent may go to a host. */
export interface EgressQuestion {
  readonly id: EgressRequestId;
  readonly agentId: AgentId;
  /** Of the agent. */
  readonly ownerId: UserId;
  readonly host: string;
  /** Of the connections that have come so far, ascending. */
  readonly ports: readonly number[];
  readonly askedAt: number;
  readonly expiresAt: number;
  /** Connections that wait for the answer. */
  readonly waiting: number;
}

export interface QuestionsOptions {
  /** How long a connection is held, and a question is open. */
  readonly holdMs: number;
  readonly clock: Clock;
  /** `port`: for which it is asked, the first one or one more. */
  readonly onAsked: (question: EgressQuestion, port: number) => void;
  readonly onSettled: (question: EgressQuestion, outcome: QuestionOutcome, by: UserId | null) => void;
}

export const mostQuestionsOfAgent = 32;
export const mostQuestions = 1_024;
export const mostWaitingForHost = 64;
/** As many as a rule has. */
const mostPortsOfHost = 32;
/** How long a host that somebody has denied is denied to the agent without a question. */
const deniedForMs = 5 * 60_000;
/** Hosts that are remembered as denied, and those of which one more may pass; the oldest are forgotten first. */
const mostRemembered = 10_000;

const allowedOnce: EgressDecision = { verdict: 'allow', rule: 'allowed once', internal: false, isOnce: true };

interface Waiter {
  readonly target: EgressTarget;
  readonly settle: (decision: EgressDecision) => void;
}

interface Open {
  readonly id: EgressRequestId;
  readonly agentId: AgentId;
  readonly ownerId: UserId;
  readonly host: string;
  readonly ports: Set<number>;
  readonly askedAt: number;
  readonly expiresAt: number;
  readonly waiters: Set<Waiter>;
  /** Somebody is answering it. */
  isClaimed: boolean;
  cancelExpiry: () => void;
}

/** A question that is being answered: no other answer counts. What comes after its end is asked about anew. */
export interface ClaimedQuestion {
  readonly question: EgressQuestion;
  /** Those that wait, and where none of them waits any more the next one to each of the claimed ports, may pass; this time. */
  allowOnce(by: UserId): void;
  /** A rule allows the host at the claimed ports from now on. */
  allowByRule(outcome: 'agent' | 'always', by: UserId): void;
  deny(by: UserId): void;
  /** The answer could not be carried out: the question is open again. */
  giveBack(): void;
}

/**
 * The questions of agents that are to ask: one a host, however many connections wait for it. A connection waits for at most
 * `holdMs`; what is beyond the bounds is denied at once. A question stays open for its time also when nobody waits any more:
 * programs give up and try again. Kept in memory: with the control plane its connections are gone.
 */
export class EgressQuestions implements Disposable {
  readonly #options: QuestionsOptions;
  readonly #open = new Map<EgressRequestId, Open>();
  readonly #byHost = new Map<string, Open>();
  /** By agent and host: until when it is denied. */
  readonly #denied = new Map<string, number>();
  /** By agent, host and port: until when one connection may pass. */
  readonly #passes = new Map<string, number>();

  constructor(options: QuestionsOptions) {
    this.#options = options;
  }

  /** Asks, or waits with others that ask the same. Denies when nobody answers in time; rejects with the signal's reason. */
  async ask(
    asked: { readonly agentId: AgentId; readonly ownerId: UserId; readonly target: EgressTarget },
    signal: AbortSignal,
  ): Promise<EgressDecision> {
    signal.throwIfAborted();
    const { agentId, target } = asked;
    const key = hostKey(agentId, target.host);
    const now = this.#options.clock.now();
    if ((this.#denied.get(key) ?? 0) > now) return deny(`Somebody has denied ${target.host} a short while ago.`);
    const pass = passKey(agentId, target);
    if ((this.#passes.get(pass) ?? 0) > now) {
      this.#passes.delete(pass);
      return allowedOnce;
    }
    const question = this.#byHost.get(key) ?? this.#begin(asked, key, now);
    if (question === undefined || question.waiters.size >= mostWaitingForHost) {
      return deny('Too many connections wait for a decision already.');
    }
    if (!question.ports.has(target.port)) {
      if (question.ports.size === mostPortsOfHost) return deny('Too many ports of the host are asked for already.');
      question.ports.add(target.port);
      this.#options.onAsked(view(question), target.port);
    }
    const { promise, resolve, reject } = Promise.withResolvers<EgressDecision>();
    const waiter = { target, settle: resolve };
    const leave = (): void => reject(signal.reason as Error);
    question.waiters.add(waiter);
    signal.addEventListener('abort', leave, { once: true });
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', leave);
      question.waiters.delete(waiter);
    }
  }

  /** The oldest first. */
  list(): readonly EgressQuestion[] {
    return [...this.#open.values()].map(view);
  }

  find(id: EgressRequestId): EgressQuestion | undefined {
    const question = this.#open.get(id);
    return question && view(question);
  }

  /**
   * `ports`: those that the answer is for; the others that wait are denied. Default: all that were asked for. Errors:
   * EGRESS_REQUEST_NOT_FOUND, also while somebody else is answering it, and where none of the ports is asked for.
   */
  claim(id: EgressRequestId, ports?: readonly number[]): ClaimedQuestion {
    const claimed = this.#open.get(id);
    if (claimed === undefined || claimed.isClaimed) {
      throw new CaissonError('EGRESS_REQUEST_NOT_FOUND', `Nothing waits for a decision under ${id}.`);
    }
    const all = view(claimed);
    const question = { ...all, ports: all.ports.filter((port) => ports?.includes(port) ?? true) };
    if (question.ports.length === 0) {
      throw new CaissonError(
        'EGRESS_REQUEST_NOT_FOUND',
        `Nothing waits for ${all.host} at port ${ports?.join(', ')}.`,
        {
          hint: `Ports that are asked for: ${all.ports.join(', ')}.`,
        },
      );
    }
    claimed.isClaimed = true;
    const { agentId, host, waiters, expiresAt } = claimed;
    const isClaimed = ({ port }: EgressTarget): boolean => question.ports.includes(port);
    const key = hostKey(agentId, host);
    return {
      question,
      allowOnce: (by) => {
        const passing = [...waiters].some(({ target }) => isClaimed(target)) ? [] : question.ports;
        for (const port of passing) remember(this.#passes, passKey(agentId, { host, port }), expiresAt);
        const decide = (target: EgressTarget): EgressDecision => (isClaimed(target) ? allowedOnce : notInTime(target));
        this.#settle(claimed, { outcome: 'once', by, decide });
      },
      allowByRule: (outcome, by) => {
        const decide = (target: EgressTarget): EgressDecision =>
          isClaimed(target) ? { verdict: 'allow', rule: host, internal: false } : notInTime(target);
        this.#settle(claimed, { outcome, by, decide });
      },
      deny: (by) => {
        remember(this.#denied, key, this.#options.clock.now() + deniedForMs);
        this.#settle(claimed, { outcome: 'denied', by, decide: () => deny(`Somebody has denied ${host}.`) });
      },
      giveBack: () => {
        claimed.isClaimed = false;
      },
    };
  }

  /**
   * The rules have changed: whoever waits is decided by them again, by `decide`; undefined where they still ask. What was
   * denied by a person may be asked again.
   */
  async decideAgain(
    agentId: AgentId | null,
    decide: (agentId: AgentId, target: EgressTarget) => Promise<EgressDecision | undefined>,
  ): Promise<void> {
    for (const key of [...this.#denied.keys(), ...this.#passes.keys()]) {
      if (agentId !== null && !key.startsWith(`${agentId} `)) continue;
      this.#denied.delete(key);
      this.#passes.delete(key);
    }
    for (const question of this.#open.values()) {
      if (question.isClaimed || (agentId !== null && question.agentId !== agentId)) continue;
      const told = view(question);
      const decisions = await Promise.all(
        [...question.ports].map(
          async (port) => [port, await decide(question.agentId, { host: question.host, port })] as const,
        ),
      );
      if (question.isClaimed || !this.#open.has(question.id)) continue; // answered meanwhile
      for (const [port, decision] of decisions) {
        if (decision === undefined) continue;
        question.ports.delete(port);
        for (const { target, settle } of question.waiters) if (target.port === port) settle(decision);
      }
      if (question.ports.size === 0) {
        this.#remove(question);
        this.#options.onSettled(told, 'ruled', null);
      }
    }
  }

  /** Whoever waits is denied, and that nobody has answered is told. */
  [Symbol.dispose](): void {
    const decide = (): EgressDecision => deny('The control plane is shutting down.');
    for (const question of this.#open.values()) this.#settle(question, { outcome: 'expired', by: null, decide });
  }

  #begin(
    {
      agentId,
      ownerId,
      target,
    }: { readonly agentId: AgentId; readonly ownerId: UserId; readonly target: EgressTarget },
    key: string,
    now: number,
  ): Open | undefined {
    const own = [...this.#open.values()].filter((each) => each.agentId === agentId).length;
    if (own >= mostQuestionsOfAgent || this.#open.size >= mostQuestions) return undefined;
    const question: Open = {
      id: newEgressRequestId(),
      agentId,
      ownerId,
      host: target.host,
      ports: new Set(),
      askedAt: now,
      expiresAt: now + this.#options.holdMs,
      waiters: new Set(),
      isClaimed: false,
      cancelExpiry: this.#options.clock.schedule(this.#options.holdMs, () =>
        this.#settle(question, { outcome: 'expired', by: null, decide: notInTime }),
      ),
    };
    this.#open.set(question.id, question);
    this.#byHost.set(key, question);
    return question;
  }

  #remove(question: Open): void {
    question.cancelExpiry();
    this.#open.delete(question.id);
    this.#byHost.delete(hostKey(question.agentId, question.host));
  }

  #settle(
    question: Open,
    {
      outcome,
      by,
      decide,
    }: {
      readonly outcome: QuestionOutcome;
      readonly by: UserId | null;
      readonly decide: (target: EgressTarget) => EgressDecision;
    },
  ): void {
    if (!this.#open.has(question.id)) return; // its time was over meanwhile
    const told = view(question);
    this.#remove(question);
    for (const { target, settle } of question.waiters) settle(decide(target));
    this.#options.onSettled(told, outcome, by);
  }
}

function view({ id, agentId, ownerId, host, ports, askedAt, expiresAt, waiters }: Open): EgressQuestion {
  const ascending = [...ports].sort((a, b) => a - b);
  return { id, agentId, ownerId, host, ports: ascending, askedAt, expiresAt, waiting: waiters.size };
}

function remember(places: Map<string, number>, key: string, until: number): void {
  places.delete(key);
  places.set(key, until);
  const oldest = places.keys().next();
  if (places.size > mostRemembered && oldest.done !== true) places.delete(oldest.value);
}

function hostKey(agentId: AgentId, host: string): string {
  return `${agentId} ${host}`;
}

function passKey(agentId: AgentId, target: EgressTarget): string {
  return hostKey(agentId, targetText(target));
}

function deny(reason: string): EgressDecision {
  return { verdict: 'deny', rule: null, reason };
}

function notInTime(target: EgressTarget): EgressDecision {
  return deny(`Nobody has allowed ${targetText(target)} in time.`);
}
