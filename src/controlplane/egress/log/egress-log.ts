import type { Page, PageRequest } from '../../../agents/ports.ts';
import type { AgentId, UserId } from '../../../kernel/ids.ts';
import type { EgressOutcome } from '../ports.ts';

/** Connections of one agent to one place within one hour, that were decided by the same rule and ended alike. */
export interface EgressLogEntry {
  readonly agentId: AgentId;
  /** When the hour began, in milliseconds since the epoch; by the beginning of the connections. */
  readonly hour: number;
  /** Empty, with port 0: places for which there was no entry left. */
  readonly host: string;
  readonly port: number;
  readonly decision: 'allow' | 'deny';
  readonly outcome: EgressOutcome;
  /** Null: no rule speaks of it. */
  readonly rule: string | null;
  /** Of the last one. */
  readonly reason: string | null;
  readonly connections: number;
  /** Of these, those that carried a secret. */
  readonly withSecret: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Of all of them together. */
  readonly durationMs: number;
  readonly firstAt: number;
  readonly lastAt: number;
}

/** What an agent has moved on one day, in UTC: connections that are over, by the day on which they began. */
export interface EgressUsage {
  readonly agentId: AgentId;
  readonly ownerId: UserId;
  /** When the day began. */
  readonly day: number;
  readonly connections: number;
  /** Of these, those that were denied. */
  readonly denied: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

export const hourMs = 3_600_000;
export const dayMs = 86_400_000;
/** Entries of one agent in one hour; further places are one entry together. */
export const mostEntriesAnHour = 200;
/** Entries that are kept of one agent; the oldest go first. */
export const mostEntries = 5_000;
/** Days whose usage is kept, of those that have any: a clock that jumps ahead takes none with it. */
export const keepUsageDays = 400;
/** Rows that usage is told in. */
export const mostUsageRows = 1_000;

/** Where it is kept what was connected to. */
export interface EgressLogStore {
  /**
   * Adds to the entries and the usage that there are, all or none; of agents that are gone nothing. Within `mostEntriesAnHour`
   * and `mostEntries`. `open`: notes what these agents have open, in the place of what was noted of them before.
   */
  addToLog(entries: readonly EgressLogEntry[], open?: OpenEntries): Promise<void>;
  /** Adds what is still noted as open, which is what a process that was killed had open, and forgets the note; answers how many connections. */
  addLeftOpen(): Promise<number>;
  /** Newest hour first. `host`: of this one alone. */
  listLog(agentId: AgentId, filter: { readonly host: string | null }, page: PageRequest): Promise<Page<EgressLogEntry>>;
  /** Since the beginning of a day, newest first, at most `mostUsageRows`: of an agent, or of a user's agents (everyone's: null). */
  listUsage(
    filter: { readonly agentId: AgentId } | { readonly ownerId: UserId | null },
    since: number,
  ): Promise<readonly EgressUsage[]>;
  /** The same of everyone, by owner. */
  sumUsage(since: number): Promise<readonly EgressSum[]>;
}

/** What agents have open, as entries that are added where nobody hears of the end. */
export type OpenEntries = ReadonlyMap<AgentId, readonly EgressLogEntry[]>;

/** What all agents of a user have moved together, also those that are deleted since. */
export interface EgressSum {
  readonly ownerId: UserId;
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

/** Two entries of the same place as one. */
export function together(one: EgressLogEntry, other: EgressLogEntry): EgressLogEntry {
  const last = other.lastAt >= one.lastAt ? other : one;
  return {
    ...one,
    reason: last.reason,
    connections: one.connections + other.connections,
    withSecret: one.withSecret + other.withSecret,
    sentBytes: one.sentBytes + other.sentBytes,
    receivedBytes: one.receivedBytes + other.receivedBytes,
    durationMs: one.durationMs + other.durationMs,
    firstAt: Math.min(one.firstAt, other.firstAt),
    lastAt: last.lastAt,
  };
}

/** An entry as one of those for whose place there is no room. */
export function withoutPlace(entry: EgressLogEntry): EgressLogEntry {
  return { ...entry, host: '', port: 0, rule: null, reason: null };
}

/** A text that is the same for entries that are one. */
export function entryKey({ agentId, hour, host, port, decision, outcome, rule }: EgressLogEntry): string {
  return JSON.stringify([agentId, hour, host, port, decision, outcome, rule]);
}
