import { z } from 'zod';
import { agentIdSchema, keyIdSchema, userIdSchema } from '../../../kernel/ids.ts';
import { roles } from '../../auth/identity.ts';
import { scopes } from '../../auth/needs.ts';

export const roleSchema = z.enum(roles);

/** `use` includes `view`, `own` both; `administer` includes `oversee`. */
const scopeSchema = z.enum(scopes);

/** What narrows a key within what its user may; null: nothing. */
export const keyLimitFields = {
  scopes: z.array(scopeSchema).min(1).max(scopes.length).readonly().nullable(),
  /** It reaches these only. */
  agents: z.array(agentIdSchema).min(1).max(100).readonly().nullable(),
};

/** A key without its secret, with whose it is. */
export const keySchema = z.object({
  id: keyIdSchema,
  name: z.string(),
  prefix: z.string(),
  user: z.object({ id: userIdSchema, name: z.string(), role: roleSchema }),
  ...keyLimitFields,
  /** Whether it can make keys: only the key in the data directory can. */
  mayIssue: z.boolean(),
  createdAt: z.int(),
  expiresAt: z.int().nullable(),
  lastUsedAt: z.int().nullable(),
  revokedAt: z.int().nullable(),
});
