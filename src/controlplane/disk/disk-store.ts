import type { AgentId, UserId } from '../../kernel/ids.ts';
import type { DiskState } from './disk-state.ts';

/** What was measured last of an agent. */
export interface DiskRecord {
  readonly agentId: AgentId;
  readonly usedBytes: number;
  readonly method: string;
  readonly state: DiskState;
  /** Milliseconds since the epoch. */
  readonly measuredAt: number;
}

export interface DiskStore {
  /** Of all agents. */
  listDisks(): Promise<readonly (DiskRecord & { readonly ownerId: UserId })[]>;
  /** Does nothing when the agent is deleted already. */
  saveDisk(record: DiskRecord): Promise<void>;
}
