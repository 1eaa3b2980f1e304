import { z } from 'zod';
import { keyIdSchema, userIdSchema } from '../../../kernel/ids.ts';

export const auditRecordSchema = z.object({
  /** 1, 2, 3 … without a gap. */
  seq: z.int(),
  /** When it was over. */
  at: z.int(),
  /** A procedure, a route, `processes.spawn` over a WebSocket, or what the audit does itself; `*`: refusals of many kinds. */
  action: z.string(),
  userId: userIdSchema.nullable(),
  userName: z.string().nullable(),
  keyId: keyIdSchema.nullable(),
  agentId: z.string().nullable(),
  targets: z.array(z.string()).readonly(),
  details: z.record(
    z.string(),
    z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(z.string()).readonly()]),
  ),
  /** `ok`, an error code, or `INTERRUPTED`: the control plane ended before it knew. */
  outcome: z.string(),
  /** Refusals that are alike have one record. */
  count: z.int(),
  durationMs: z.number(),
  address: z.string().nullable(),
  requestId: z.string().nullable(),
});

export const chainHeadSchema = z.strictObject({
  seq: z.int().min(0),
  hash: z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in hexadecimal'),
});

export const verificationSchema = z.object({
  /** The first record that does not fit; null: the chain is whole. */
  broken: z.object({ seq: z.int(), reason: z.enum(['missing', 'altered', 'replaced']) }).nullable(),
  /** Records that fit. */
  records: z.int(),
  head: chainHeadSchema,
  /** Records up to here were forgotten by the retention; 0: none. */
  prunedThrough: z.int(),
  /** Null where no head was given, or its record is no longer kept. */
  knownHeadFound: z.boolean().nullable(),
});
