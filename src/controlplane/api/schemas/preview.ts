import { z } from 'zod';
import { agentIdSchema, keyIdSchema, previewIdSchema, userIdSchema } from '../../../kernel/ids.ts';
import { portSchema } from '../../../wire/contract/ports.ts';
import { previewAccess } from '../../previews/preview.ts';

/** `owner`: the link works once, for the browser that opens it first. `shared`: for anyone who has it, any number of times. */
export const previewAccessSchema = z.enum(previewAccess);

/** A way to a port of an agent's sandbox, without the secret of its link. Times are milliseconds since the epoch. */
export const previewSchema = z.object({
  id: previewIdSchema,
  agentId: agentIdSchema,
  port: portSchema,
  access: previewAccessSchema,
  /** Where the app is for those whom the link has let in. */
  origin: z.string(),
  state: z.enum(['active', 'expired', 'revoked']),
  createdBy: userIdSchema,
  /** The API key that it was made with: it ends with it. */
  keyId: keyIdSchema,
  createdAt: z.int(),
  expiresAt: z.int(),
  /** When its link was opened first. */
  openedAt: z.int().nullable(),
  revokedAt: z.int().nullable(),
});
