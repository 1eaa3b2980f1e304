import { z } from 'zod';
import { agentIdSchema, egressRequestIdSchema, userIdSchema } from '../../../kernel/ids.ts';

/** A connection that waits for a person. Times are milliseconds since the epoch. */
export const egressRequestSchema = z.object({
  id: egressRequestIdSchema,
  agentId: agentIdSchema,
  host: z.string(),
  /** Of the connections that have come so far. */
  ports: z.array(z.int()).readonly(),
  askedAt: z.int(),
  expiresAt: z.int(),
  /** Connections that wait; programs that gave up come again, and find the answer. */
  waiting: z.int(),
});

/** Connections to one place within one hour, that were decided by the same rule and ended alike. */
export const egressLogEntrySchema = z.object({
  agentId: agentIdSchema,
  /** When the hour began. */
  hour: z.int(),
  /** Empty, with port 0: places beyond the 200 that are told apart in an hour. */
  host: z.string(),
  port: z.int(),
  decision: z.enum(['allow', 'deny']),
  outcome: z.enum(['closed', 'denied', 'refused', 'unreachable', 'revoked', 'over_quota', 'over_limit', 'interrupted']),
  rule: z.string().nullable(),
  /** Of the last one. */
  reason: z.string().nullable(),
  connections: z.int(),
  /** Of these, those to which the gateway added a secret. */
  withSecret: z.int(),
  sentBytes: z.int(),
  receivedBytes: z.int(),
  /** Of all of them together. */
  durationMs: z.int(),
  firstAt: z.int(),
  lastAt: z.int(),
});

export const egressUsageSchema = z.object({
  agentId: agentIdSchema,
  ownerId: userIdSchema,
  /** When the day began, in UTC. */
  day: z.int(),
  connections: z.int(),
  denied: z.int(),
  sentBytes: z.int(),
  receivedBytes: z.int(),
});
