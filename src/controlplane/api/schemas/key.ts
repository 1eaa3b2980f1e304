import { z } from 'zod';
import { keyIdSchema, userIdSchema } from '../../../kernel/ids.ts';
import { roles } from '../../auth/identity.ts';

/** Of a user or a key: what a person would type, without control characters. */
export const displayNameSchema = z
  .string()
  .trim()
  .min(1, 'must not be empty')
  .max(100, 'must have at most 100 characters')
  .regex(/^\P{Cc}*$/u, 'must not hold control characters');

export const roleSchema = z.enum(roles);

/** A key without its secret, with whose it is. */
export const keySchema = z.object({
  id: keyIdSchema,
  name: z.string(),
  prefix: z.string(),
  user: z.object({ id: userIdSchema, name: z.string(), role: roleSchema }),
  createdAt: z.int(),
  lastUsedAt: z.int().nullable(),
  revokedAt: z.int().nullable(),
});
