import type { Dimension } from './dimension.ts';

/** What a plan or a person says of some dimensions. null = unlimited; one that is not named is left to the next in line. */
export type SomeLimits = { readonly [Name in Dimension]?: number | null };

/** Limits with a name, for many users. */
export interface Plan {
  readonly name: string;
  readonly limits: SomeLimits;
  /** Of its last change; the first is 1. */
  readonly version: number;
}

/** What is said of one account: before that of its plan, which stands before the default. */
export interface Policy {
  /** Null: the plan called `default`, where there is one. Users only. */
  readonly plan: string | null;
  /** Null: UTC. Users only. */
  readonly timeZone: string | null;
  readonly limits: SomeLimits;
  /** Of its last change; 0 where nothing was ever said. */
  readonly version: number;
}

/** The plan of users who have none. What it does not name is the configuration's. */
export const defaultPlanName = 'default';

export const unsaid: Policy = { plan: null, timeZone: null, limits: {}, version: 0 };
