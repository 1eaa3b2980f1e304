import type { AgentId, ConversationId, IncarnationId, MessageId, RunId, UserId } from '../kernel/ids.ts';
import { turnReasons, type TurnUsage } from '../wire/contract/turn.ts';

/** Every reason why a run can be over, by the state that it ends in. A run that is over has exactly one. */
export const runReasons = {
  completed: turnReasons.completed,
  failed: [...turnReasons.failed, 'sandbox_start_failed', 'sandbox_unreachable'],
  canceled: [...turnReasons.canceled, 'conversation_closed'],
  timed_out: turnReasons.timed_out,
  /** The run was under way when its sandbox went away: what it did is unknown, so it is never repeated by itself. */
  interrupted: ['sandbox_lost'],
  /** The run never started. */
  rejected: ['access_revoked'],
} as const;

export type RunEndState = keyof typeof runReasons;
export type RunReason = (typeof runReasons)[RunEndState][number];

/** How a run ended. */
export type RunEnd = {
  [State in RunEndState]: {
    readonly state: State;
    readonly reason: (typeof runReasons)[State][number];
    /** For people; null when the reason says it all. */
    readonly message: string | null;
  };
}[RunEndState];

export type RunState = 'queued' | 'starting' | 'running' | 'awaiting_permission' | RunEndState;

/**
 * The moves that a run can make. A state without a row here is terminal and never changes.
 * `starting` may end in every way, since the sandbox can be lost at any time.
 */
const moves: Readonly<Record<Exclude<RunState, RunEndState>, readonly RunState[]>> = {
  queued: ['starting', 'canceled', 'rejected'],
  starting: ['running', 'canceled', 'failed', 'timed_out', 'interrupted', 'completed'],
  running: ['awaiting_permission', 'completed', 'failed', 'canceled', 'timed_out', 'interrupted'],
  awaiting_permission: ['running', 'completed', 'failed', 'canceled', 'timed_out', 'interrupted'],
};

export function canMove(from: RunState, to: RunState): boolean {
  return !isTerminal(from) && moves[from].includes(to);
}

export function isTerminal(state: RunState): state is RunEndState {
  return Object.hasOwn(runReasons, state);
}

export const activeRunStates = ['queued', 'starting', 'running', 'awaiting_permission'] as const satisfies RunState[];

/**
 * What becomes of a run whose sandbox does not run, when its owner's quotas have no room for one more: it is refused, or it
 * waits until there is.
 */
export const whenBusyChoices = ['fail', 'queue'] as const;
export type WhenBusy = (typeof whenBusyChoices)[number];

interface RunRow {
  readonly id: RunId;
  readonly agentId: AgentId;
  readonly conversationId: ConversationId;
  /** The user's message that the run answers. */
  readonly messageId: MessageId;
  readonly startedBy: UserId;
  readonly timeoutMs: number;
  /** Milliseconds since the epoch. */
  readonly acceptedAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  /** The incarnation that the prompt was given to; null before. */
  readonly incarnation: IncarnationId | null;
  /** Asked to stop: a queued run ends at once, a started one as soon as the harness obeys. */
  readonly cancelRequested: boolean;
  readonly usage: TurnUsage | null;
  readonly whenBusy: WhenBusy;
}

/** One turn: from an accepted message to exactly one terminal state. */
export type Run = RunRow &
  (
    | {
        readonly state: 'queued' | 'starting' | 'running' | 'awaiting_permission';
        readonly reason: null;
        readonly message: null;
      }
    | RunEnd
  );
