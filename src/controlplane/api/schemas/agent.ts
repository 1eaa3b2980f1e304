import { z } from 'zod';
import type { Agent } from '../../../agents/agent.ts';
import { agentIdSchema, incarnationIdSchema, userIdSchema } from '../../../kernel/ids.ts';
import { agentLevels } from '../../auth/needs.ts';

/** Lower-case letters, digits and hyphens, so that it can stand in a host name; never mistaken for an id. */
export const agentNameSchema = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9-]{0,62}$/,
    'must be 1 to 63 lower-case letters, digits and hyphens, and not start with a hyphen',
  )
  .refine((name) => !name.startsWith('agt-'), 'must not start with agt-, as ids do');

const limitsSchema = z.object({ cpus: z.number(), memoryBytes: z.int(), pids: z.int() });

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
  createdAt: z.int(),
  deleting: z.boolean(),
  sandbox: z.discriminatedUnion('state', [
    z.object({ state: z.literal('starting') }),
    z.object({ state: z.literal('running'), incarnation: incarnationIdSchema }),
    z.object({ state: z.literal('stopped'), reason: z.string() }),
    z.object({ state: z.literal('failed'), code: z.string(), message: z.string() }),
  ]),
}) satisfies z.ZodType<Agent>;
