import { z } from 'zod';
import type { Permission } from '../../../agents/permission.ts';
import {
  agentIdSchema,
  conversationIdSchema,
  incarnationIdSchema,
  permissionIdSchema,
  runIdSchema,
  userIdSchema,
} from '../../../kernel/ids.ts';
import {
  permissionOptionSchema,
  permissionOutcomeSchema,
  toolContentSchema,
} from '../../../wire/contract/harness-event.ts';
import { jsonValueSchema } from '../../../wire/contract/json-value.ts';

const rowSchema = z.object({
  id: permissionIdSchema,
  agentId: agentIdSchema,
  conversationId: conversationIdSchema,
  runId: runIdSchema.nullable(),
  incarnation: incarnationIdSchema,
  toolCallId: z.string(),
  title: z.string(),
  kind: z.string(),
  input: jsonValueSchema,
  content: z.array(toolContentSchema).readonly(),
  options: z.array(permissionOptionSchema).readonly(),
  createdAt: z.int(),
  expiresAt: z.int(),
});

export const permissionSchema = z.discriminatedUnion('state', [
  rowSchema.extend({ state: z.literal('pending'), resolution: z.null() }),
  rowSchema.extend({
    state: z.literal('resolved'),
    resolution: z.object({
      outcome: permissionOutcomeSchema,
      optionId: z.string().nullable(),
      resolvedBy: userIdSchema.nullable(),
      resolvedAt: z.int(),
    }),
  }),
]) satisfies z.ZodType<Permission>;
