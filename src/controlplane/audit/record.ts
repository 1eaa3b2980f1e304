import type { ErrorCode } from '../../kernel/error-table.ts';
import type { KeyId, UserId } from '../../kernel/ids.ts';

/** What of a call's input is kept: scalars and lists of short texts, bounded by `detailsOf`. */
export type AuditDetails = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;

/** A call, as far as it is known before anything is done. */
export interface AuditCall {
  /** A procedure (`agents.create`), a route (`PUT /v1/agents/:agentId/file`, `WS …`), or what the audit does itself. */
  readonly action: string;
  /** Null where nobody was recognised, and for what the control plane does by itself. */
  readonly userId: UserId | null;
  readonly userName: string | null;
  readonly keyId: KeyId | null;
  readonly agentId: string | null;
  /** Ids of all that it is about, those of what it made too; at most 16. */
  readonly targets: readonly string[];
  readonly details: AuditDetails;
  /** Of the caller, behind trusted proxies. */
  readonly address: string | null;
  readonly requestId: string | null;
}

/** All but its action, of a call that nobody in particular makes, and that is about nothing in particular. */
export const ofNobody: Omit<AuditCall, 'action'> = {
  userId: null,
  userName: null,
  keyId: null,
  agentId: null,
  targets: [],
  details: {},
  address: null,
  requestId: null,
};

/** `INTERRUPTED`: the control plane ended before it knew what came of it; whether it was done is not known. */
export type AuditOutcome = 'ok' | ErrorCode | 'INTERRUPTED';

/** What the chain is to hold of a call that is over. */
export interface AuditDraft extends AuditCall {
  readonly outcome: AuditOutcome;
  /** So many alike, of which the last is shown: 1 but for refusals. */
  readonly count: number;
  readonly durationMs: number;
}

/** One link of the chain. */
export interface AuditRecord extends AuditDraft {
  /** 1, 2, 3 … without a gap. */
  readonly seq: number;
  /** When it was over, in milliseconds since the epoch, by the clock of the machine: it may jump, `seq` does not. */
  readonly at: number;
}

/** A record as it is kept. */
export interface SealedRecord {
  readonly record: AuditRecord;
  /** The record as canonical JSON: what is hashed. */
  readonly body: string;
  /** SHA-256 of the hash before, a line feed, and `body`; in hexadecimal. */
  readonly hash: string;
}

/** What is done to the audit itself. */
export const pruneAction = 'audit.prune';
