import { z } from 'zod';
import { agentIdSchema, secretIdSchema, userIdSchema } from '../../../kernel/ids.ts';
import { portSchema } from '../../../wire/contract/ports.ts';

/** How the host is shown it. */
export const secretFormSchema = z.discriminatedUnion('kind', [
  /** `Authorization: Bearer <value>`. */
  z.strictObject({ kind: z.literal('bearer') }),
  /** `Authorization: Basic …`, which git wants. */
  z.strictObject({ kind: z.literal('basic'), username: z.string().max(256) }),
  /** A header of the host's own. */
  z.strictObject({ kind: z.literal('header'), header: z.string().max(64) }),
]);

/** A secret, without its value. Times are milliseconds since the epoch. */
export const secretSchema = z.object({
  /** Another value has another id. */
  id: secretIdSchema,
  /** Null: for all agents of its user. */
  agentId: agentIdSchema.nullable(),
  host: z.string(),
  port: portSchema,
  form: secretFormSchema,
  /** False: the key that it was stored under is gone, and connections to its host are refused. */
  readable: z.boolean(),
  createdBy: userIdSchema,
  createdByName: z.string(),
  createdAt: z.int(),
  /** To the minute. */
  lastUsedAt: z.int().nullable(),
});
