import type { EventRetention } from './ports.ts';

/** What an operator decides about runs. Times in milliseconds. */
export interface DomainSettings {
  /** From the start of a turn to its forced end: what a caller gets who asks for nothing, and the most to be had. */
  readonly runTimeoutMs: number;
  /** Longest silence of a harness while no tool runs and no permission is open. */
  readonly idleTimeoutMs: number;
  /** How long a permission request stays open. */
  readonly permissionTimeoutMs: number;
  readonly maxMessageBytes: number;
  /** Runs under way at once, over all agents. */
  readonly maxConcurrentRuns: number;
  /** Of these, those of the agents of one user. */
  readonly maxConcurrentRunsPerUser: number;
  /** Runs that may wait in one conversation. */
  readonly queueLimit: number;
  /** Whether idle sandboxes of an owner make room for others of theirs. */
  readonly sleepIdleSandboxes: boolean;
  /** Events kept for an agent. */
  readonly eventRetention: EventRetention;
}

/** Where a harness works in the sandbox. */
export const workspaceDirectory = '/workspace';
