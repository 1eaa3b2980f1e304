import type { DiskState } from '../disk/disk-state.ts';
import type { z } from 'zod';
import type { AgentLimits, Conversation, Message, SandboxStatus } from '../../agents/agent.ts';
import type { EventData } from '../../agents/event.ts';
import type { PermissionResolution } from '../../agents/permission.ts';
import type { RunReason, RunState, WhenBusy } from '../../agents/run.ts';
import type {
  AgentId,
  ConversationId,
  EgressRuleId,
  IncarnationId,
  KeyId,
  MessageId,
  PermissionId,
  PreviewId,
  ReservationId,
  RunId,
  SecretId,
  UserId,
} from '../../kernel/ids.ts';
import type { PermissionOption, ToolContent } from '../../wire/contract/harness-event.ts';
import type { SessionOffer } from '../../wire/contract/session-offer.ts';
import type { TurnUsage } from '../../wire/contract/turn.ts';
import type { AuditCall, AuditRecord } from '../audit/record.ts';
import type { Role, SignIn } from '../auth/identity.ts';
import type { Scope } from '../auth/needs.ts';
import type { ShareRole } from '../auth/sharing.ts';
import type { ModelUsage } from '../model-gateway/model-usage.ts';
import type { EgressLogEntry } from '../egress/log/egress-log.ts';
import type { EgressMode, RuleEffect, RuleSubject } from '../egress/policy/policy.ts';
import type { EgressOutcome } from '../egress/ports.ts';
import type { SecretForm } from '../egress/secrets/secret.ts';
import type { PreviewAccess } from '../previews/preview.ts';
import type { Account } from '../quotas/account.ts';
import type { MeteredDimension } from '../quotas/dimension.ts';
import type { SomeLimits } from '../quotas/policy.ts';
import type { JsonText } from './json-text.ts';

/** A boolean. */
type Flag = 0 | 1;

/** The order of insertion in its table, whatever the clock does. Listings and their cursors go by it. */
interface Ordered {
  readonly ordinal: number;
}

export interface AgentsTable extends Ordered {
  readonly id: AgentId;
  readonly owner_id: UserId;
  readonly name: string;
  readonly harness: string;
  readonly model: string | null;
  readonly provider: string;
  readonly limits: JsonText<AgentLimits>;
  readonly created_at: number;
  readonly deleting: Flag;
  readonly sandbox: JsonText<SandboxStatus>;
  /** The number of the agent's last event, also when that event is no longer kept. */
  readonly head_seq: number;
  /** Of the data of its events that are kept. */
  readonly event_bytes: number;
  /** The last lease epoch that was given. */
  readonly lease_epoch: number;
  /** Whether its sandbox starts or runs: what `sandbox` says, for an index. */
  readonly sandbox_up: Flag;
  /** Of the contents of its messages. */
  readonly history_bytes: number;
  /** Bytes that it has said since it was spoken to. */
  readonly said_bytes: number;
}

export interface ConversationsTable extends Ordered {
  readonly id: ConversationId;
  readonly agent_id: AgentId;
  readonly title: string;
  readonly status: Conversation['status'];
  readonly model: string | null;
  readonly mode: string | null;
  readonly session_id: string | null;
  readonly created_at: number;
  readonly updated_at: number;
}

export interface MessagesTable extends Ordered {
  readonly id: MessageId;
  readonly agent_id: AgentId;
  readonly conversation_id: ConversationId;
  readonly run_id: RunId | null;
  readonly role: Message['role'];
  readonly sender_id: UserId | null;
  readonly content: JsonText<Message['content']>;
  readonly created_at: number;
}

export interface RunsTable extends Ordered {
  readonly id: RunId;
  readonly agent_id: AgentId;
  readonly conversation_id: ConversationId;
  readonly message_id: MessageId;
  readonly started_by: UserId;
  readonly timeout_ms: number;
  readonly accepted_at: number;
  readonly started_at: number | null;
  readonly ended_at: number | null;
  readonly incarnation: IncarnationId | null;
  readonly cancel_requested: Flag;
  readonly usage: JsonText<TurnUsage | null>;
  readonly state: RunState;
  /** Whether it is not over: what its state says, for an index. */
  readonly active: Flag;
  readonly reason: RunReason | null;
  readonly message: string | null;
  readonly when_busy: WhenBusy;
}

export interface PermissionsTable extends Ordered {
  readonly id: PermissionId;
  readonly agent_id: AgentId;
  readonly conversation_id: ConversationId;
  readonly run_id: RunId | null;
  readonly incarnation: IncarnationId;
  readonly tool_call_id: string;
  readonly title: string;
  readonly kind: string;
  readonly input: JsonText<z.core.util.JSONType | null>;
  readonly content: JsonText<readonly ToolContent[]>;
  readonly options: JsonText<readonly PermissionOption[]>;
  readonly created_at: number;
  readonly expires_at: number;
  readonly state: 'pending' | 'resolved';
  readonly resolution: JsonText<PermissionResolution | null>;
}

export interface EventsTable {
  readonly agent_id: AgentId;
  readonly seq: number;
  readonly conversation_id: ConversationId | null;
  readonly run_id: RunId | null;
  readonly at: number;
  readonly data: JsonText<EventData>;
}

/** What the last session of an agent offers. Apart from the agent, which is read far more often. */
interface SessionOffersTable {
  readonly agent_id: AgentId;
  readonly offer: JsonText<SessionOffer>;
}

/** How far the journal of one incarnation is applied. */
interface JournalPositionsTable {
  readonly agent_id: AgentId;
  readonly incarnation: IncarnationId;
  readonly seq: number;
}

interface IdempotencyKeysTable {
  readonly conversation_id: ConversationId;
  readonly principal_id: UserId;
  readonly key: string;
  readonly fingerprint: string;
  readonly run_id: RunId;
  readonly message_id: MessageId;
  readonly accepted_at: number;
}

export interface UsersTable {
  readonly id: UserId;
  readonly name: string;
  readonly role: Role;
  readonly created_at: number;
  readonly disabled_at: number | null;
}

interface InvitationsTable {
  readonly is_reset: Flag;
  readonly user_id: UserId;
  readonly secret_hash: string;
  readonly created_at: number;
  readonly expires_at: number;
}

export interface AgentSharesTable extends Ordered {
  readonly agent_id: AgentId;
  readonly user_id: UserId;
  readonly role: ShareRole;
  readonly created_by: UserId;
  readonly created_at: number;
  /** That of the agent, which never changes: listings of what is shared go by it. */
  readonly agent_ordinal: number;
}

interface ApiKeysTable extends Ordered {
  readonly id: KeyId;
  readonly user_id: UserId;
  readonly name: string;
  readonly prefix: string;
  readonly secret_hash: string;
  readonly created_at: number;
  readonly last_used_at: number | null;
  readonly revoked_at: number | null;
  /** Null: all, as with the agents. */
  readonly scopes: JsonText<readonly Scope[]> | null;
  readonly agents: JsonText<readonly AgentId[]> | null;
  readonly may_issue: Flag;
  readonly expires_at: number | null;
  /** Null: an API key; otherwise a browser's session. */
  readonly signed_in_by: SignIn | null;
}

interface LoginsTable {
  readonly user_id: UserId;
  /** In lower case. */
  readonly email: string;
  readonly password_hash: string | null;
}

interface LoginIdentitiesTable {
  readonly issuer: string;
  readonly subject: string;
  readonly user_id: UserId;
}

export interface PreviewsTable extends Ordered {
  readonly id: PreviewId;
  readonly agent_id: AgentId;
  readonly port: number;
  readonly access: PreviewAccess;
  readonly created_by: UserId;
  readonly key_id: KeyId;
  readonly token_hash: string;
  readonly created_at: number;
  readonly expires_at: number;
  readonly opened_at: number | null;
  readonly revoked_at: number | null;
}

interface QuotaPlansTable {
  readonly name: string;
  readonly limits: JsonText<SomeLimits>;
  readonly version: number;
}

/** What is said of single accounts. */
interface QuotaPoliciesTable {
  readonly account: Account;
  readonly agent_id: AgentId | null;
  readonly plan: string | null;
  readonly time_zone: string | null;
  readonly limits: JsonText<SomeLimits>;
  readonly version: number;
}

/** What accounts have used in their present window. */
interface QuotaUsageTable {
  readonly account: Account;
  readonly dimension: MeteredDimension;
  readonly agent_id: AgentId | null;
  readonly used: number;
  readonly resets_at: number | null;
}

/** Room that is held: a row for each account and dimension of a reservation. */
interface QuotaReservationsTable {
  readonly id: ReservationId;
  readonly account: Account;
  readonly dimension: MeteredDimension;
  readonly amount: number;
  readonly expires_at: number;
  readonly lifetime_ms: number;
}

interface TokenColumns {
  readonly input_tokens: number;
  readonly cached_input_tokens: number;
  readonly cache_write_tokens: number;
  readonly output_tokens: number;
  readonly reasoning_tokens: number;
  readonly cost_micros: number;
}

export interface ModelCallsTable extends Ordered, TokenColumns {
  readonly at: number;
  readonly user_id: UserId;
  readonly agent_id: AgentId;
  readonly conversation_id: ConversationId | null;
  readonly run_id: RunId | null;
  readonly upstream: string;
  readonly api: ModelUsage['api'];
  readonly model: string;
  readonly outcome: ModelUsage['outcome'];
  readonly estimated: Flag;
  readonly price_version: string;
  readonly ms: number;
}

/** Sums of a day, also of calls that are no longer kept. */
export interface ModelTotalsTable extends TokenColumns {
  /** In UTC, as `2026-01-31`. */
  readonly day: string;
  readonly user_id: UserId;
  readonly agent_id: AgentId;
  readonly model: string;
  readonly calls: number;
  readonly estimated_calls: number;
  readonly unpriced_calls: number;
}

export interface EgressPoliciesTable {
  /** As `scopeKey` writes it. */
  readonly scope: string;
  readonly agent_id: AgentId | null;
  readonly user_id: UserId | null;
  readonly mode: EgressMode | null;
  readonly version: number;
  readonly changed_by: UserId;
  readonly changed_at: number;
  readonly why: string | null;
}

export interface EgressRulesTable extends Ordered {
  readonly id: EgressRuleId;
  readonly scope: string;
  readonly effect: RuleEffect;
  readonly subject: JsonText<RuleSubject>;
  readonly added_by: UserId;
  readonly added_at: number;
  readonly why: string | null;
  readonly expires_at: number | null;
}

/** Connections of one agent to one place within one hour, that were decided by the same rule and ended alike. */
export interface EgressLogTable extends Ordered {
  readonly agent_id: AgentId;
  /** When the hour began. */
  readonly hour: number;
  /** Empty, with port 0: places for which there was no row left in this hour. */
  readonly host: string;
  readonly port: number;
  readonly decision: 'allow' | 'deny';
  readonly outcome: EgressOutcome;
  /** Empty: no rule speaks of it. */
  readonly rule: string;
  /** Of the last one. */
  readonly reason: string | null;
  readonly connections: number;
  /** Of these, those that carried a secret. */
  readonly with_secret: number;
  readonly sent_bytes: number;
  readonly received_bytes: number;
  /** Of all of them together. */
  readonly duration_ms: number;
  readonly first_at: number;
  readonly last_at: number;
}

/** What an agent has open: what is to be added to its log where nobody hears of the end. */
interface EgressOpenTable {
  readonly agent_id: AgentId;
  readonly entries: JsonText<readonly EgressLogEntry[]>;
}

/** What an agent has moved on one day, in UTC. Outlives the agent. */
export interface EgressUsageTable {
  readonly agent_id: AgentId;
  readonly owner_id: UserId;
  /** When the day began. */
  readonly day: number;
  readonly connections: number;
  readonly denied: number;
  readonly sent_bytes: number;
  readonly received_bytes: number;
}

/** Secrets for hosts. */
export interface SecretsTable extends Ordered {
  readonly id: SecretId;
  /** As `secretScopeKey` writes it. */
  readonly scope: string;
  readonly user_id: UserId | null;
  readonly agent_id: AgentId | null;
  readonly host: string;
  readonly port: number;
  readonly form: JsonText<SecretForm>;
  readonly key_version: number;
  readonly sealed: string;
  readonly created_by: UserId;
  readonly created_at: number;
  readonly last_used_at: number | null;
}

/** The certificate authorities of agents' sandboxes. */
export interface AgentAuthoritiesTable {
  readonly agent_id: AgentId;
  readonly certificate: string;
  readonly key_version: number;
  readonly sealed: string;
}

interface AuditRecordsTable {
  readonly seq: number;
  readonly at: number;
  readonly user_id: UserId | null;
  readonly agent_id: string | null;
  readonly action: string;
  /** Canonical, as it is hashed. */
  readonly body: JsonText<AuditRecord>;
  readonly hash: string;
}

interface AuditHeadTable {
  /** 1: it has one row. */
  readonly id: number;
  readonly seq: number;
  readonly hash: string;
  readonly pruned_through: number;
}

interface AuditClockTable {
  /** 1: it has one row. */
  readonly id: number;
  readonly at: number;
  readonly ran_ms: number;
}

interface AuditOpenTable {
  readonly id: number;
  readonly at: number;
  readonly call: JsonText<AuditCall>;
}

/** What was measured last. */
interface AgentDisksTable {
  readonly agent_id: AgentId;
  readonly used_bytes: number;
  readonly method: string;
  readonly state: DiskState;
  readonly measured_at: number;
}

/** Every table, as the last migration leaves it. */
export interface Database {
  agents: AgentsTable;
  session_offers: SessionOffersTable;
  conversations: ConversationsTable;
  messages: MessagesTable;
  runs: RunsTable;
  permissions: PermissionsTable;
  events: EventsTable;
  journal_positions: JournalPositionsTable;
  idempotency_keys: IdempotencyKeysTable;
  users: UsersTable;
  api_keys: ApiKeysTable;
  logins: LoginsTable;
  login_identities: LoginIdentitiesTable;
  invitations: InvitationsTable;
  agent_shares: AgentSharesTable;
  previews: PreviewsTable;
  quota_plans: QuotaPlansTable;
  quota_policies: QuotaPoliciesTable;
  quota_usage: QuotaUsageTable;
  quota_reservations: QuotaReservationsTable;
  model_calls: ModelCallsTable;
  model_totals: ModelTotalsTable;
  egress_policies: EgressPoliciesTable;
  egress_rules: EgressRulesTable;
  egress_log: EgressLogTable;
  egress_open: EgressOpenTable;
  egress_usage: EgressUsageTable;
  secrets: SecretsTable;
  agent_authorities: AgentAuthoritiesTable;
  audit_records: AuditRecordsTable;
  audit_head: AuditHeadTable;
  audit_open: AuditOpenTable;
  audit_clock: AuditClockTable;
  agent_disks: AgentDisksTable;
}
