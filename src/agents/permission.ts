import type { z } from 'zod';
import type { AgentId, ConversationId, IncarnationId, PermissionId, RunId, UserId } from '../kernel/ids.ts';
import type { PermissionOption, PermissionOutcome, ToolContent } from '../wire/contract/harness-event.ts';

interface PermissionRow {
  readonly id: PermissionId;
  readonly agentId: AgentId;
  readonly conversationId: ConversationId;
  readonly runId: RunId | null;
  readonly incarnation: IncarnationId;
  readonly toolCallId: string;
  readonly title: string;
  readonly kind: string;
  readonly input: z.core.util.JSONType | null;
  readonly content: readonly ToolContent[];
  readonly options: readonly PermissionOption[];
  readonly createdAt: number;
  /** The guest answers `expired` at this time, whether or not a control plane is there. */
  readonly expiresAt: number;
}

/** Whose a request is that waits for its answer, without what it asks. */
export type PendingPermission = Pick<PermissionRow, 'id' | 'agentId' | 'conversationId' | 'runId' | 'incarnation'>;

/** A question of the harness to the people who may decide. It always ends: answered, expired, or canceled with its run. */
export type Permission = PermissionRow &
  (
    | { readonly state: 'pending'; readonly resolution: null }
    | { readonly state: 'resolved'; readonly resolution: PermissionResolution }
  );

export interface PermissionResolution {
  readonly outcome: PermissionOutcome;
  readonly optionId: string | null;
  readonly resolvedBy: UserId | null;
  readonly resolvedAt: number;
}
