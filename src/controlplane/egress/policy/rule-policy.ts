import type { EgressEvent } from '../../../agents/agent-service.ts';
import type { Clock } from '../../../kernel/clock.ts';
import type { AgentId, EgressRequestId, UserId } from '../../../kernel/ids.ts';
import type { Logger } from '../../../kernel/logger.ts';
import { wayIn } from '../checked-addresses.ts';
import type { EgressAllowance, EgressDecision, EgressPolicy, EgressTarget } from '../ports.ts';
import { isPrivateAddress } from '../public-address.ts';
import { targetText } from '../target.ts';
import type { EgressRules, JudgedConnection } from './egress-rules.ts';
import type { EgressScope } from './policy.ts';
import { type ClaimedQuestion, type EgressQuestion, EgressQuestions } from './questions.ts';

/** How long a decision of a person holds: for those that wait now, for the agent, for all agents of its owner, not at all. */
export const egressAnswers = ['once', 'agent', 'always', 'deny'] as const;
export type EgressAnswer = (typeof egressAnswers)[number];

interface RulePolicyOptions {
  readonly rules: EgressRules;
  /** How long a connection is held while a person decides. */
  readonly holdMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Puts an event into the agent's log. */
  readonly record: (agentId: AgentId, event: EgressEvent) => Promise<void>;
}

/** The gateway's policy: what the rules say, and where they ask, what people do. */
export class RulePolicy implements EgressPolicy, AsyncDisposable {
  readonly #options: RulePolicyOptions;
  readonly #questions: EgressQuestions;
  readonly #stopListening: () => void;
  /** Events that are being recorded: each question makes one for each of its ports, and one at its end. */
  readonly #recording = new Set<Promise<void>>();
  /** Of the rules, so far. */
  #changes = 0;

  constructor(options: RulePolicyOptions) {
    const { rules, holdMs, clock, logger } = options;
    this.#options = options;
    const record = (agentId: AgentId, event: EgressEvent): void => {
      const recorded = options
        .record(agentId, event)
        .catch((err: unknown) => {
          logger.warn({ agentId, event: event.type, err }, 'an event of egress could not be recorded');
        })
        .finally(() => this.#recording.delete(recorded));
      this.#recording.add(recorded);
    };
    this.#questions = new EgressQuestions({
      holdMs,
      clock,
      onAsked: ({ id: requestId, agentId, host, expiresAt }, port) =>
        record(agentId, { type: 'egress.requested', requestId, host, port, expiresAt }),
      onSettled: ({ id: requestId, agentId, host }, outcome, by) =>
        record(agentId, { type: 'egress.resolved', requestId, host, outcome, by }),
    });
    this.#stopListening = rules.onChanged((agentId) => {
      this.#changes++;
      this.#questions
        .decideAgain(agentId, async (of, target) => decisionOf(await this.#judge(of, target)))
        .catch((err: unknown) => logger.warn({ agentId, err }, 'what waits could not be decided by the new rules'));
    });
  }

  async decide(agentId: AgentId, target: EgressTarget, signal: AbortSignal): Promise<EgressDecision> {
    let changes: number;
    let judged: JudgedConnection;
    do {
      changes = this.#changes;
      judged = await this.#judge(agentId, target);
      signal.throwIfAborted();
    } while (changes !== this.#changes); // who waits is told of changes from here on, and not of those before
    const { ownerId } = judged;
    const decided = decisionOf(judged);
    if (decided !== undefined) return decided;
    // Nobody is asked for what no answer can allow.
    if (isPrivateAddress(target.host)) return { verdict: 'deny', rule: null, reason: notPublic(target) };
    return await this.#questions.ask({ agentId, ownerId, target }, signal);
  }

  async allows(agentId: AgentId, target: EgressTarget, before: EgressAllowance): Promise<EgressDecision> {
    const decision = decisionOf(await this.#judge(agentId, target));
    if (decision !== undefined) return decision;
    if (before.isOnce === true) return before; // the rules still ask, and it was asked about
    return { verdict: 'deny', rule: null, reason: `Nobody has allowed ${targetText(target)}.` };
  }

  onChanged(listener: (agentId: AgentId | null) => void): () => void {
    return this.#options.rules.onChanged(listener);
  }

  /** What waits for a decision, the oldest first. */
  pending(): readonly EgressQuestion[] {
    return this.#questions.list();
  }

  findPending(id: EgressRequestId): EgressQuestion | undefined {
    return this.#questions.find(id);
  }

  /**
   * Answers for every connection that waits for the host. `agent` and `always` are rules from then on, of the agent and of its
   * owner, for the ports that were asked for; of these only `ports`, where they are given. The first answer counts. Errors:
   * EGRESS_REQUEST_NOT_FOUND, also where none of `ports` is asked for; those of a change of the rules, and the question is open again.
   */
  async answer(
    id: EgressRequestId,
    {
      answer,
      ports,
      by,
      why,
    }: {
      readonly answer: EgressAnswer;
      readonly ports?: readonly number[] | undefined;
      readonly by: UserId;
      readonly why: string | null;
    },
  ): Promise<EgressQuestion> {
    const claimed = this.#questions.claim(id, answer === 'deny' ? undefined : ports);
    const { agentId, ownerId } = claimed.question;
    switch (answer) {
      case 'once':
        claimed.allowOnce(by);
        break;
      case 'deny':
        claimed.deny(by);
        break;
      case 'agent':
        await this.#addRule({ kind: 'agent', agentId }, claimed, { by, why });
        claimed.allowByRule(answer, by);
        break;
      case 'always':
        await this.#addRule({ kind: 'user', userId: ownerId }, claimed, { by, why });
        claimed.allowByRule(answer, by);
        break;
    }
    return claimed.question;
  }

  /** Whoever waits is denied; resolves when that is recorded. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopListening();
    this.#questions[Symbol.dispose]();
    await Promise.all(this.#recording);
  }

  async #addRule(
    scope: EgressScope,
    claimed: ClaimedQuestion,
    { by, why }: { readonly by: UserId; readonly why: string | null },
  ): Promise<void> {
    const { host, ports } = claimed.question;
    try {
      const rule = { effect: 'allow', subject: { host, ports }, expiresAt: null, why } as const;
      await this.#options.rules.change(scope, { by, add: [rule], why });
    } catch (thrown) {
      claimed.giveBack();
      throw thrown;
    }
  }

  async #judge(agentId: AgentId, target: EgressTarget): Promise<JudgedConnection> {
    return await this.#options.rules.judge(agentId, target);
  }
}

/** Why no rule and no person can let anybody out to it. */
export function notPublic(target: EgressTarget): string {
  return `${targetText(target)} is an address that is not public. ${wayIn}`;
}

/** Undefined where a person decides. */
function decisionOf({ judgement }: JudgedConnection): EgressDecision | undefined {
  switch (judgement.verdict) {
    case 'allow':
      return { verdict: 'allow', rule: judgement.rule, internal: judgement.internal };
    case 'ask':
      return undefined;
    case 'deny':
      return { verdict: 'deny', rule: judgement.rule, reason: judgement.reason };
  }
}
