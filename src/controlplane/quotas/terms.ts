import type { AgentId } from '../../kernel/ids.ts';
import type { Account } from './account.ts';
import type { Dimension } from './dimension.ts';

/** null = unlimited. */
export type Limits = Readonly<Record<Dimension, number | null>>;

export const noLimits: Limits = {
  agents: null,
  running_sandboxes: null,
  cpu: null,
  memory: null,
  history_bytes: null,
  disk: null,
  message_bytes: null,
  requests: null,
  sandbox_minutes: null,
  tokens: null,
  cost: null,
  egress_bytes: null,
};

/** What an account may use. */
export interface Terms {
  readonly limits: Limits;
  /** Of the user whose account it is, or whose agent. */
  readonly timeZone: string;
  /** The agent that the account goes with. */
  readonly agentId: AgentId | null;
}

export interface TermsSource {
  /** @throws CaissonError AGENT_NOT_FOUND, CONVERSATION_NOT_FOUND. */
  of(account: Account): Promise<Terms>;
}
