import { z } from 'zod';
import { agentIdSchema, userIdSchema } from '../../../kernel/ids.ts';
import { shareRoles } from '../../auth/sharing.ts';

/** An `editor` sends, approves and writes; a `viewer` watches. */
export const shareRoleSchema = z.enum(shareRoles);

/** With whom an agent is shared. */
export const shareSchema = z.object({
  agentId: agentIdSchema,
  user: z.object({ id: userIdSchema, name: z.string() }),
  role: shareRoleSchema,
  createdBy: userIdSchema,
  createdAt: z.int(),
});
