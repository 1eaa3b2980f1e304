import { z } from 'zod';
import { userIdSchema } from '../../../kernel/ids.ts';
import { roleSchema } from './key.ts';

/** A user. `invited`: has an invitation that is not accepted yet. Times are milliseconds since the epoch. */
export const userSchema = z.object({
  id: userIdSchema,
  name: z.string(),
  role: roleSchema,
  /** With which it can sign in; null: it has none. */
  email: z.string().nullable(),
  state: z.enum(['active', 'invited', 'disabled']),
  createdAt: z.int(),
  disabledAt: z.int().nullable(),
});
