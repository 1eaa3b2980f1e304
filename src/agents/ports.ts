import type { CaissonError } from '../kernel/errors.ts';
import type { AgentId, ConversationId, IncarnationId, MessageId, PermissionId, RunId, UserId } from '../kernel/ids.ts';
import type { PermissionAnswer } from '../wire/contract/guest-api.ts';
import type { JournalEntry } from '../wire/contract/journal-entry.ts';
import type { SessionOffer } from '../wire/contract/session-offer.ts';
import type { SessionSpec, TurnRequest, TurnStatus } from '../wire/contract/turn.ts';
import type { Agent, Conversation, Message, SandboxStatus } from './agent.ts';
import type { AgentEvent, EventDraft } from './event.ts';
import type { PendingPermission, Permission, PermissionResolution } from './permission.ts';
import type { Run, RunEnd } from './run.ts';

/**
 * A page of a listing, newest first unless it says otherwise. `nextCursor` is null on the last one. A page may hold fewer
 * items than it could although others follow: with content, it ends before 1 MiB of it, but has at least one.
 */
export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

export interface PageRequest {
  /** 1 to 200. */
  readonly limit: number;
  /** The `nextCursor` of the page before. */
  readonly cursor: string | null;
}

/** Agents that a user owns, and those that are shared with it (null: everyone's); of these only `among` (null: all). */
export interface AgentFilter {
  readonly visibleTo: UserId | null;
  /** At most 100. */
  readonly among: readonly AgentId[] | null;
}

/** Of one agent, or of several. */
export type PermissionFilter = { readonly agentId: AgentId } | AgentFilter;

/**
 * What the domain keeps. Every write happens in a transaction: all of it outlives the process when `transaction` resolves,
 * or none. It outlives a power cut when `flushed` has resolved after that; whoever is told that something is kept, and may
 * rely on it, is told only then.
 */
export interface AgentStore {
  /**
   * Serialised, in the order of asking. `work` must only await the transaction's own calls: a call of the store from
   * inside is refused with INTERNAL. A statement that the database refused dooms the transaction, also when it is caught.
   */
  transaction<T>(work: (tx: AgentTransaction) => Promise<T>): Promise<T>;
  /** Resolves when every transaction that has resolved before the call outlives a power cut. Cheap for many callers at once. */
  flushed(): Promise<void>;

  findAgent(id: AgentId): Promise<Agent | undefined>;
  findAgentByName(ownerId: UserId, name: string): Promise<Agent | undefined>;
  listAgents(filter: AgentFilter, page: PageRequest): Promise<Page<Agent>>;
  countAgents(ownerId: UserId): Promise<number>;
  /** Without those that are shared with the owner. Newest first; all of them. */
  listOwnAgents(ownerId: UserId): Promise<readonly Agent[]>;
  /** Whose sandbox starts or runs: of one owner, or of everyone when null. */
  listAgentsUp(ownerId: UserId | null): Promise<readonly AgentUp[]>;
  /** Of all messages of all agents of the owner. */
  countHistoryBytes(ownerId: UserId): Promise<number>;
  /** All ids, oldest first; for recovery and the orphan reaper. */
  listAgentIds(): Promise<readonly { readonly id: AgentId; readonly deleting: boolean }[]>;

  /** What the last session of the agent that was opened offers; undefined before the first. */
  findSessionOffer(agentId: AgentId): Promise<SessionOffer | undefined>;

  findConversation(id: ConversationId): Promise<Conversation | undefined>;
  listConversations(agentId: AgentId, page: PageRequest): Promise<Page<Conversation>>;
  /** Oldest first within the page; the page before it is reached by the cursor. */
  listMessages(agentId: AgentId, conversationId: ConversationId | null, page: PageRequest): Promise<Page<Message>>;
  findMessage(id: MessageId): Promise<Message | undefined>;
  /**
   * What the agent said in a run, oldest first: the newest 500 messages, and of these no more than 2 MiB, but always the
   * last one. `isCut` where it said more before.
   */
  listReply(runId: RunId): Promise<{ readonly messages: readonly Message[]; readonly isCut: boolean }>;

  findRun(id: RunId): Promise<Run | undefined>;
  listRuns(agentId: AgentId, conversationId: ConversationId | null, page: PageRequest): Promise<Page<Run>>;
  /** Every run that is not over, in the order of acceptance. */
  listActiveRuns(agentId?: AgentId): Promise<readonly Run[]>;

  findPermission(id: PermissionId): Promise<Permission | undefined>;
  /** Oldest first. */
  listPendingPermissions(filter: PermissionFilter, page: PageRequest): Promise<Page<Permission>>;

  /** Events with `after < seq`, in order: at most `limit`, and no more than 1 MiB of them, but always at least one. */
  readEvents(agentId: AgentId, after: number, limit: number): Promise<readonly AgentEvent[]>;
  /** First stored and last given `seq`; `first` is `last + 1` when none is stored. */
  eventBounds(agentId: AgentId): Promise<{ readonly first: number; readonly last: number }>;
  /**
   * Forgets the oldest events, beyond what is to be kept. They stay counted: numbering goes on. In small steps, each a transaction
   * of its own.
   */
  pruneEvents(agentId: AgentId, kept: EventRetention): Promise<void>;

  /** The last guest entry that was applied for this incarnation; 0 when none. */
  journalPosition(agentId: AgentId, incarnation: IncarnationId): Promise<number>;
}

/** How many events of an agent are kept, and how many bytes of them as JSON. */
export interface EventRetention {
  readonly events: number;
  readonly bytes: number;
}

export interface AppendedEvents {
  /** As stored, in order. */
  readonly events: readonly AgentEvent[];
  /** Bytes, as JSON, of all events of the agent that are stored now. */
  readonly storedBytes: number;
}

/** An agent whose sandbox starts or runs, and what that takes. */
export type AgentUp = Pick<Agent, 'id' | 'ownerId' | 'limits'>;

/** Reads in a transaction see its own writes. */
export interface AgentTransaction {
  findAgent(id: AgentId): Promise<Agent | undefined>;
  findAgentByName(ownerId: UserId, name: string): Promise<Agent | undefined>;
  countAgents(ownerId: UserId): Promise<number>;
  listAgentsUp(ownerId: UserId): Promise<readonly AgentUp[]>;
  countHistoryBytes(ownerId: UserId): Promise<number>;
  insertAgent(agent: Agent): Promise<void>;
  setAgentDeleting(id: AgentId): Promise<void>;
  setSandboxStatus(id: AgentId, status: SandboxStatus): Promise<void>;
  /** A new lease epoch: higher than any that was ever given for this agent. */
  nextLeaseEpoch(id: AgentId): Promise<number>;
  /** The agent and every row that belongs to it. */
  deleteAgent(id: AgentId): Promise<void>;

  findConversation(id: ConversationId): Promise<Conversation | undefined>;
  insertConversation(conversation: Conversation): Promise<void>;
  closeConversation(id: ConversationId): Promise<void>;
  setConversationSession(id: ConversationId, sessionId: string): Promise<void>;
  setConversationTitle(id: ConversationId, title: string): Promise<void>;
  setConversationChoices(id: ConversationId, choices: Pick<Conversation, 'model' | 'mode'>): Promise<void>;
  setSessionOffer(agentId: AgentId, offer: SessionOffer): Promise<void>;
  insertMessage(message: Message): Promise<void>;
  /** Adds to what an agent has said since it was spoken to, and returns how much that is. */
  countSaid(agentId: AgentId, bytes: number): Promise<number>;
  /** A run of the agent begins, or a person has answered it: what it says is counted anew. */
  spokenTo(agentId: AgentId): Promise<void>;
  findMessage(id: MessageId): Promise<Message | undefined>;
  hasMessage(id: MessageId): Promise<boolean>;

  findRun(id: RunId): Promise<Run | undefined>;
  listActiveRuns(
    filter: { readonly agentId: AgentId } | { readonly conversationId: ConversationId },
  ): Promise<readonly Run[]>;
  insertRun(run: Run): Promise<void>;
  /** Writes only if the run is still in `from`; says whether it was. */
  moveRun(id: RunId, from: Run['state'], change: RunChange): Promise<boolean>;
  requestRunCancel(id: RunId): Promise<void>;

  insertPermission(permission: Permission): Promise<void>;
  hasPermission(id: PermissionId): Promise<boolean>;
  /** Writes only if it is still pending; says whether it was. */
  resolvePermission(id: PermissionId, resolution: PermissionResolution): Promise<boolean>;
  /** Undefined as well when it is resolved. */
  findPendingPermission(id: PermissionId): Promise<PendingPermission | undefined>;
  /** Whether a request of this run is pending. */
  isPermissionAwaited(runId: RunId): Promise<boolean>;
  countPendingPermissions(agentId: AgentId): Promise<number>;
  listPendingPermissions(agentId: AgentId): Promise<readonly PendingPermission[]>;

  /** What an earlier request with this key was, if any. */
  findIdempotent(scope: IdempotencyScope): Promise<IdempotentRequest | undefined>;
  insertIdempotent(scope: IdempotencyScope, request: IdempotentRequest): Promise<void>;

  /** Numbers and stores events. */
  appendEvents(agentId: AgentId, drafts: readonly EventDraft[]): Promise<AppendedEvents>;

  journalPosition(agentId: AgentId, incarnation: IncarnationId): Promise<number>;
  /** Never moves it back. */
  setJournalPosition(agentId: AgentId, incarnation: IncarnationId, seq: number): Promise<void>;
}

export type RunChange =
  | { readonly state: 'starting'; readonly incarnation: IncarnationId | null }
  | { readonly state: 'running'; readonly startedAt?: number }
  | { readonly state: 'awaiting_permission' }
  | (RunEnd & { readonly endedAt: number; readonly usage: Run['usage'] });

export interface IdempotencyScope {
  readonly principalId: UserId;
  readonly conversationId: ConversationId;
  readonly key: string;
}

export interface IdempotentRequest {
  /** SHA-256 of the normalised request. */
  readonly fingerprint: string;
  readonly runId: RunId;
  readonly messageId: MessageId;
  readonly acceptedAt: number;
}

/** The guest of one incarnation, as the domain drives it. Every call rejects with WIRE_LOST while the wire is down. */
export interface Guest {
  readonly incarnation: IncarnationId;
  openSession(spec: SessionSpec): Promise<void>;
  closeSession(conversationId: ConversationId): Promise<void>;
  startTurn(runId: RunId, request: TurnRequest): Promise<TurnStatus>;
  turnStatus(runId: RunId): Promise<TurnStatus>;
  cancelTurn(runId: RunId): Promise<TurnStatus>;
  answerPermission(permissionId: PermissionId, answer: PermissionAnswer): Promise<void>;
}

/** The sandboxes of all agents. */
export interface Sandboxes {
  /** Brings the sandbox up if it is not, attaches, and resolves when the guest can be driven. Single-flight. */
  ensureGuest(agent: Agent): Promise<Guest>;
  /** The guest if it is attached right now. */
  currentGuest(agentId: AgentId): Guest | undefined;
  /**
   * The guest, attached; or undefined when its sandbox is not running, which is then stored. Starts nothing, and waits for
   * as long as it takes to know.
   */
  reattach(agent: Agent): Promise<Guest | undefined>;
  /** Whether it is attached, nothing runs in it but its harness, and nothing listens. */
  isIdle(agentId: AgentId): Promise<boolean>;
  /** Restarts a sandbox whose guest no longer obeys: a new incarnation follows on the next need. */
  stop(agentId: AgentId, reason: string): Promise<void>;
  /** Detaches, and removes the sandbox with its workspace. Idempotent. */
  destroy(agent: Agent): Promise<void>;
}

/** What a control plane needs to drive a guest that it has attached to. */
export interface Attachment {
  /** The last journal entry that is stored: read on after it. */
  readonly journalPosition: number;
  /** Higher than every earlier one: the guest obeys the highest that it has seen. */
  readonly leaseEpoch: number;
}

/** What the sandboxes tell the domain. The domain stores before it returns. */
export interface SandboxObserver {
  /** Entries of one incarnation, in order. Those already applied are passed over. */
  applyJournal(agentId: AgentId, incarnation: IncarnationId, entries: readonly JournalEntry[]): Promise<void>;
  /** Resolves when what was applied outlives a power cut: only then may the guest forget it. */
  flushed(): Promise<void>;
  /** A sandbox is up under a new or known incarnation. What an older one had under way is over. */
  sandboxAttached(agentId: AgentId, incarnation: IncarnationId): Promise<Attachment>;
  /** The sandbox is gone or not to be saved: what was under way in it is over. */
  sandboxLost(agentId: AgentId, reason: string): Promise<void>;
  /**
   * False when the agent is deleted or being deleted: then nothing may be started. Nor when it rejects, with
   * QUOTA_EXCEEDED where the owner's quotas have no room.
   */
  sandboxStarting(agentId: AgentId): Promise<boolean>;
  sandboxFailed(agentId: AgentId, failure: { readonly code: string; readonly message: string }): Promise<void>;
}

/** Whether a user may still act: a queued run is checked again when it starts. */
export interface Access {
  mayRun(principalId: UserId, agent: Agent): Promise<boolean>;
}

/** What an owner may have of what is counted from what is there. null = unlimited. */
export interface OwnerLimits {
  readonly agents: number | null;
  readonly runningSandboxes: number | null;
  /** Of all sandboxes that run. */
  readonly cpus: number | null;
  /** Of all sandboxes that run. */
  readonly memoryBytes: number | null;
  readonly messageBytes: number | null;
  readonly historyBytes: number | null;
}

/** What owners may have and use. Not to be asked inside a transaction. */
export interface Quotas {
  limitsOf(ownerId: UserId): Promise<OwnerLimits>;
  /** The QUOTA_EXCEEDED of an owner, an agent or a conversation that has spent what every turn needs; else undefined. */
  refusalForRun(of: Pick<Agent, 'id' | 'ownerId'>, conversationId: ConversationId): Promise<CaissonError | undefined>;
  /** The QUOTA_EXCEEDED of an owner who has spent what every agent needs; else undefined. */
  refusalForAgent(ownerId: UserId): Promise<CaissonError | undefined>;
  /** What no sandbox may be started for at the moment, whoever's: HOST_DISK_FULL; else undefined. */
  refusalForStart(): Promise<CaissonError | undefined>;
  /** Holds the first minute of a sandbox that is about to start. Rejects with QUOTA_EXCEEDED. */
  holdMinute(of: Pick<Agent, 'id' | 'ownerId'>): Promise<HeldMinute>;
  /** Calls `listener`, which must not throw, when limits have changed. */
  onChanged(listener: () => void): void;
}

/** It is given back by itself, after a while, when nobody says what became of it. */
export interface HeldMinute {
  keep(): Promise<void>;
  giveBack(): Promise<void>;
}
