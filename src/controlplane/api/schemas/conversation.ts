import { z } from 'zod';
import type { Conversation, Message } from '../../../agents/agent.ts';
import {
  agentIdSchema,
  conversationIdSchema,
  messageIdSchema,
  runIdSchema,
  userIdSchema,
} from '../../../kernel/ids.ts';
import { contentBlockSchema } from '../../../wire/contract/harness-event.ts';
import { choiceIdSchema } from '../../../wire/contract/session-offer.ts';
import { shownAsItIs } from './display-name.ts';

const choiceInputSchema = shownAsItIs(choiceIdSchema).nullish();

/** Ids as the harness names them: `agents.status` tells them. Null: the agent's model, the harness's default mode. */
export const choiceInputFields = { model: choiceInputSchema, mode: choiceInputSchema };

export const conversationSchema = z.object({
  id: conversationIdSchema,
  agentId: agentIdSchema,
  title: z.string(),
  status: z.enum(['open', 'closed']),
  model: z.string().nullable(),
  mode: z.string().nullable(),
  sessionId: z.string().nullable(),
  createdAt: z.int(),
  updatedAt: z.int(),
}) satisfies z.ZodType<Conversation>;

export const messageSchema = z.object({
  id: messageIdSchema,
  agentId: agentIdSchema,
  conversationId: conversationIdSchema,
  runId: runIdSchema.nullable(),
  role: z.enum(['user', 'agent']),
  senderId: userIdSchema.nullable(),
  content: z.array(contentBlockSchema).readonly(),
  createdAt: z.int(),
}) satisfies z.ZodType<Message>;
