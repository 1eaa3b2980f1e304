import { z } from 'zod';
import { agentIdSchema, conversationIdSchema, userIdSchema } from '../../../kernel/ids.ts';
import { isTimeZone } from '../../quotas/day.ts';
import { type Dimension, dimensionNames, dimensions } from '../../quotas/dimension.ts';
import type { QuotaHolder } from '../../quotas/quota-desk.ts';
import { displayNameSchema } from './display-name.ts';

export const quotaHolderSchema = z.union([
  z.strictObject({ userId: userIdSchema }),
  z.strictObject({ user: displayNameSchema }),
  z.strictObject({ agentId: agentIdSchema }),
  z.strictObject({ conversationId: conversationIdSchema }),
]) satisfies z.ZodType<QuotaHolder>;

/** A whole number of the unit of the quota; cores may have a fraction. */
function amountSchema(name: Dimension) {
  return name === 'cpu' ? z.number().min(0).max(1_000_000) : z.int().min(0);
}

function limitsOf<T extends z.ZodType>(schemaOf: (name: Dimension) => T) {
  const shape = Object.fromEntries(dimensionNames.map((name) => [name, schemaOf(name)]));
  return z.strictObject(shape as Record<Dimension, T>);
}

/** Those that are said; null is unlimited. */
const someLimitsSchema = limitsOf((name) => amountSchema(name).nullable().optional());

/** `default` takes back what was said, null is unlimited; one that is not named stays as it is. */
export const limitsChangeSchema = limitsOf((name) =>
  z.union([amountSchema(name), z.null(), z.literal('default')]).optional(),
);

export const planNameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'must be lower-case letters, digits and hyphens, at most 32');

export const planSchema = z.object({ name: planNameSchema, limits: someLimitsSchema, version: z.int() });

export const timeZoneSchema = z.string().max(64).refine(isTimeZone, 'must be a time zone such as Europe/Berlin');

/** As of what version the change was made; 0 where there was none. */
export const versionSchema = z.int().min(0);

const quotaLineSchema = z.object({
  dimension: z.enum(Object.keys(dimensions) as [Dimension, ...Dimension[]]),
  /** Of the amounts. */
  unit: z.string(),
  /** Null: unlimited. */
  limit: z.number().nullable(),
  /** `own`: said of this one; `plan`: by its plan; `default`: by the configuration. */
  source: z.enum(['own', 'plan', 'default']),
  /** Null for what is not counted: the size of a message, the rate of requests. */
  used: z.number().nullable(),
  /** Held by calls under way. */
  reserved: z.number(),
  /** Milliseconds since the epoch. Null: not by itself. */
  resetsAt: z.int().nullable(),
});

/** What may be used and what is. */
export const statementSchema = z.object({
  holder: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('user'), id: userIdSchema, name: z.string() }),
    z.object({ kind: z.literal('agent'), id: agentIdSchema, name: z.string() }),
    z.object({ kind: z.literal('conversation'), id: conversationIdSchema, name: z.string() }),
  ]),
  /** Null: the plan called `default`, where there is one. */
  plan: z.string().nullable(),
  /** By whose days quotas reset. */
  timeZone: z.string(),
  version: versionSchema,
  quotas: z.array(quotaLineSchema),
});
