import { z } from 'zod';
import type { Overview } from '../../admin/overview.ts';
import { agentIdSchema, userIdSchema } from '../../../kernel/ids.ts';
import { diskSchema, limitsSchema } from './agent.ts';

const count = z.int().min(0);
const spaceSchema = z.object({ freeBytes: count, totalBytes: count });
const diskSpaceSchema = spaceSchema.extend({
  /** Null where the disk does not bound how many files it holds. */
  inodes: z.object({ free: count, total: count }).nullable(),
});

/** A sandbox as its provider has it, with whose it is. */
export const knownSandboxSchema = z.object({
  agentId: agentIdSchema,
  /** Null: an orphan, whose agent is gone. It is removed by itself within 5 min. */
  agent: z
    .object({
      name: z.string(),
      owner: z.object({ id: userIdSchema, name: z.string() }),
      /** What the control plane has stored of it. */
      state: z.enum(['starting', 'running', 'stopped', 'failed']),
      limits: limitsSchema,
      disk: diskSchema,
    })
    .nullable(),
  provider: z.string(),
  providerId: z.string(),
  image: z.string(),
  /** What the provider says. */
  state: z.enum(['running', 'paused', 'stopped', 'broken']),
  /** Milliseconds since the epoch: when it was made. */
  createdAt: z.int(),
  /** What it takes at the moment. Null: it does not run, or was not asked for. */
  load: z
    .object({
      /** Processor cores, of the last second. */
      cpus: z.number(),
      memoryBytes: count,
      pids: count,
      /** Milliseconds since the epoch: when it was started. */
      startedAt: z.int(),
    })
    .nullable(),
});

/** How the machine and the control plane are. */
export const overviewSchema = z.object({
  version: z.string(),
  node: z.string(),
  startedAt: z.int(),
  uptimeMs: count,
  provider: z.object({ name: z.string(), description: z.string(), available: z.boolean() }),
  machine: z.object({
    cpus: count,
    /** Of the last 1, 5 and 15 minutes. */
    load: z.array(z.number()).readonly(),
    memory: spaceSchema,
    /** Of the control plane itself. */
    processBytes: count,
  }),
  disk: z.object({
    /** Of the data directory. */
    data: diskSpaceSchema,
    /** Of the sandboxes; null where that cannot be told. */
    sandboxes: diskSpaceSchema.nullable(),
    /** With less, no sandbox is started. */
    reserveBytes: count,
    /** Of all agents together, as it was measured last. */
    agentsBytes: count,
    /** Agents by the state of their disk. */
    states: z.record(z.string(), count),
  }),
  agents: count,
  /** Agents by the state of their sandbox. */
  sandboxes: z.object({ starting: count, running: count, unattached: count, stopped: count, failed: count }),
  /** Runs that are not over, by their state: the queued ones wait. */
  runs: z.record(z.string(), count),
  /** Connections out of sandboxes that wait for a decision. */
  pendingEgress: count,
  /** What is open at the API, by its kind. */
  open: z.object({ calls: count, subscriptions: count, transfers: count }),
}) satisfies z.ZodType<Overview>;

/** What one user has, and has used. */
export const userUsageSchema = z.object({
  /** The name is null of one who is deleted. */
  user: z.object({ id: userIdSchema, name: z.string().nullable() }),
  agents: count,
  sandboxesUp: count,
  diskBytes: count,
  modelCalls: count,
  /** Input and output together. */
  tokens: count,
  /** Millionths of a US dollar, by list prices. */
  costMicros: count,
  /** Out of sandboxes. */
  sentBytes: count,
  /** Into them. */
  receivedBytes: count,
});
