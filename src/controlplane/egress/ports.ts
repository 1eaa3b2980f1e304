import type { SecureContext } from 'node:tls';
import type { AgentId, SecretId } from '../../kernel/ids.ts';
import type { Credential } from './secrets/credential.ts';
import type { HostSecret } from './secrets/secret.ts';

/** Where a program in a sandbox wants to go. */
export interface EgressTarget {
  /** Lower case, without a trailing dot: a name, or an address in its one canonical spelling (IPv6 without brackets). */
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
}

export type EgressDecision =
  | {
      readonly verdict: 'allow';
      /** True: a person has allowed this connection, and none that comes later. */
      readonly isOnce?: true;
      /** What allows it, in words that a person knows it by: the rule's host, or the preset's name. */
      readonly rule: string;
      /** True: an operator has named this host as an internal one, so its addresses need not be public. */
      readonly internal: boolean;
    }
  | {
      readonly verdict: 'deny';
      /** One sentence, shown to the program in the sandbox. Names no rule of somebody else. */
      readonly reason: string;
      /** The rule that denies it; null where none speaks of it. */
      readonly rule: string | null;
    };

export type EgressAllowance = Extract<EgressDecision, { readonly verdict: 'allow' }>;

/** Who may go where. Decides on names and ports alone; what a name leads to is checked by the gateway. */
export interface EgressPolicy {
  /**
   * Before any name is resolved. May hold the connection (mode `ask`) until `signal` aborts, and then denies, or rejects
   * with the signal's reason. Any rejection denies.
   */
  decide(agentId: AgentId, target: EgressTarget, signal: AbortSignal): Promise<EgressDecision>;
  /**
   * The same for a connection that is open already, and was let out by `before`: never holds, asks nobody. A rejection denies.
   */
  allows(agentId: AgentId, target: EgressTarget, before: EgressAllowance): Promise<EgressDecision>;
  /**
   * Calls `listener` when the rules that an agent stands under may have changed (null: those of any), so that open
   * connections are decided again with `allows`. What it returns ends that.
   */
  onChanged(listener: (agentId: AgentId | null) => void): () => void;
}

/** Counts what goes through, and says when no more may. */
export interface EgressMeter {
  /**
   * Asked before `bytes` go on, of either direction. A promise holds them back until it settles (back-pressure). Throws or
   * rejects with QUOTA_EXCEEDED when there is no room: the connection is cut, and these bytes do not go on.
   */
  take(agentId: AgentId, bytes: number): Promise<void> | void;
}

/** Why a connection ended, or never began. */
export type EgressOutcome =
  /** Both sides ended, or one let go. */
  | 'closed'
  /** The policy denied it. */
  | 'denied'
  /** The policy allowed the name, a wall of the gateway refused what came: address, TLS name, Host, malformed request. */
  | 'refused'
  /** The name could not be resolved, or the host not be reached. */
  | 'unreachable'
  /** The rules, or the secret that it carries, changed while it was open. */
  | 'revoked'
  /** The quota was used up while it was open, or before. */
  | 'over_quota'
  /** Too many connections at once, or too slow a beginning. */
  | 'over_limit'
  /** The control plane was killed while it was open. */
  | 'interrupted';

/** One connection, once it is over. */
export interface EgressRecord {
  readonly agentId: AgentId;
  readonly host: string;
  readonly port: number;
  readonly decision: 'allow' | 'deny';
  /** What allowed or denied it; null where nothing speaks of it. */
  readonly rule: string | null;
  readonly outcome: EgressOutcome;
  /** Why, in one sentence; null for `closed`. Holds nothing that the connection carried. */
  readonly reason: string | null;
  /** That which the gateway added to its requests; null where it added none. */
  readonly secretId: SecretId | null;
  /** From the sandbox to the host. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly durationMs: number;
}

/** A connection that has begun. */
export interface OpenConnection {
  readonly agentId: AgentId;
  /** It has a record, or gets it in this turn. */
  readonly isOver: boolean;
  /** What is to be recorded where nobody hears of its end: `interrupted`, up to its last byte. Undefined until it is allowed. */
  soFar(): EgressRecord | undefined;
}

/** Must not throw, and must bound what it keeps. */
export interface EgressLog {
  /** Hears of every connection that begins. */
  follow(connection: OpenConnection): void;
  /** Hears of every connection once, when it is over. */
  record(entry: EgressRecord): void;
}

/** Secrets for hosts, and as whom the gateway speaks to both sides where it adds one. */
export interface EgressSecrets {
  /** What connections of the agent to this host and port are to carry; undefined for nothing. A rejection ends the connection. */
  find(
    agentId: AgentId,
    target: EgressTarget,
  ): Promise<{ readonly secret: HostSecret; readonly credential: Credential } | undefined>;
  /** Calls `listener` when secrets have changed, so that open connections are looked at again. What it returns ends that. */
  onChanged(listener: () => void): () => void;
  /** Told of each request that carries one. Must not throw. */
  used(agentId: AgentId, secret: HostSecret): void;
  /** What a program in the agent's sandbox takes for the host. */
  identityFor(agentId: AgentId, host: string): Promise<SecureContext>;
  /** Whom the gateway trusts to be the host. */
  readonly trust: SecureContext;
}
