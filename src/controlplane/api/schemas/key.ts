import { z } from 'zod';
import { keyIdSchema, userIdSchema } from '../../../kernel/ids.ts';
import { roles } from '../../auth/identity.ts';

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
