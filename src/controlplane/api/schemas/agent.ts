import { z } from 'zod';
import type { Agent } from '../../../agents/agent.ts';
import { agentIdSchema, incarnationIdSchema, userIdSchema } from '../../../kernel/ids.ts';
import { diskStates } from '../../disk/disk-state.ts';
import { agentLevels } from '../../auth/needs.ts';

/** Lower-case letters, digits and hyphens, so that it can stand in a host name; never mistaken for an id. */
export const agentNameSchema = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9-]{0,62}$/,
    'must be 1 to 63 lower-case letters, digits and hyphens, and not start with a hyphen',
  )
  .refine((name) => !name.startsWith('agt-'), 'must not start with agt-, as ids do');

export const limitsSchema = z.object({
  cpus: z.number(),
  memoryBytes: z.int(),
  pids: z.int(),
  /** Null: no limit; undefined, of agents of earlier: the default of sandboxes. */
  diskBytes: z.int().nullish(),
});

/** What workspace and home take of the disk. */
export const diskSchema = z.object({
  /**
   * `full`: nothing more is written through the API, and no run starts. `over`: it went on beyond the grace, and was stopped;
   * only files can be removed. `unmeasured`: it has too many files to be measured in time, and counts as full.
   */
  state: z.enum(diskStates),
  /** Blocks that are allocated. Null: not measured yet. */
  usedBytes: z.int().nullable(),
  /** Null: no limit. */
  limitBytes: z.int().nullable(),
  /** How it was measured. */
  method: z.string().nullable(),
  /** Milliseconds since the epoch. */
  measuredAt: z.int().nullable(),
});

export const agentSchema = z.object({
  id: agentIdSchema,
  name: z.string(),
  ownerId: userIdSchema,
  /** The owner as people know it. */
  ownerName: z.string(),
  /** What the caller may do with it. */
  access: z.enum(agentLevels),
  harness: z.string(),
  model: z.string().nullable(),
  provider: z.string(),
  limits: limitsSchema,
  disk: diskSchema,
  createdAt: z.int(),
  deleting: z.boolean(),
  sandbox: z.discriminatedUnion('state', [
    z.object({ state: z.literal('starting') }),
    z.object({ state: z.literal('running'), incarnation: incarnationIdSchema }),
    z.object({ state: z.literal('stopped'), reason: z.string() }),
    z.object({ state: z.literal('failed'), code: z.string(), message: z.string() }),
  ]),
}) satisfies z.ZodType<Agent>;
