import { z } from 'zod';
import { keyIdSchema } from '../../../kernel/ids.ts';

/** A browser that is signed in. Times are milliseconds since the epoch. */
export const sessionSchema = z.object({
  id: keyIdSchema,
  /** What the browser calls itself. */
  browser: z.string(),
  signedInBy: z.enum(['password', 'oidc']),
  createdAt: z.int(),
  /** To the minute. */
  lastUsedAt: z.int(),
  /** At the latest. */
  expiresAt: z.int(),
  /** Whether this call came with it. */
  isCurrent: z.boolean(),
});
