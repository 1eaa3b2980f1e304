import type { AgentId } from '../../kernel/ids.ts';
import type { Account } from './account.ts';
import type { Plan, Policy } from './policy.ts';

/** Where plans and policies are kept. */
export interface QuotaStore {
  findPolicy(account: Account): Promise<Policy | undefined>;
  /**
   * Stores it as `version + 1` of what it was, if that is still its version (0: there is none), and there is its plan.
   * `agentId`: whose deletion takes it along.
   */
  savePolicy(account: Account, policy: Policy, agentId: AgentId | null): Promise<'saved' | 'changed' | 'no_plan'>;
  findPlan(name: string): Promise<Plan | undefined>;
  /** By name; at most 1,000. */
  listPlans(): Promise<readonly Plan[]>;
  /** As `savePolicy`; says whether it was stored. */
  savePlan(plan: Plan): Promise<boolean>;
  /** Only if it has this version, and no user has it. */
  removePlan(name: string, version: number): Promise<'removed' | 'changed' | 'in_use'>;
}
