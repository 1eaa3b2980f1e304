import type { AgentId, UserId } from '../../kernel/ids.ts';
import type { AgentLevel } from './needs.ts';

/** What an agent is shared as: an `editor` sends, approves and writes; a `viewer` watches. */
export const shareRoles = ['editor', 'viewer'] as const;
export type ShareRole = (typeof shareRoles)[number];

/** What each may do with the agent. */
export const shareLevels = { editor: 'use', viewer: 'view' } as const satisfies Record<ShareRole, AgentLevel>;

/** That somebody else's agent is there for a user too. */
export interface Share {
  readonly agentId: AgentId;
  readonly userId: UserId;
  readonly role: ShareRole;
  readonly createdBy: UserId;
  readonly createdAt: number;
}

/** Where shares are kept. They go with their agent, and with their user. */
export interface ShareStore {
  /** What the agent is shared as with the user, and whether its owner is disabled. */
  findShare(
    agentId: AgentId,
    userId: UserId,
  ): Promise<{ readonly role: ShareRole; readonly isOwnerDisabled: boolean } | undefined>;
  /** In the order of sharing. */
  listShares(agentId: AgentId): Promise<readonly Share[]>;
  /**
   * Takes the place of an earlier one; answers what that was. `full`, and nothing is stored, where the agent is shared with
   * `most` others already. Atomic.
   */
  putShare(share: Share, most: number): Promise<ShareRole | 'none' | 'full'>;
  /** Whether there was one. */
  removeShare(agentId: AgentId, userId: UserId): Promise<boolean>;
}
