import { z } from 'zod';
import type { ContentBlock } from '../../../wire/contract/harness-event.ts';

/** Blocks of one message. */
const blockLimit = 64;

/** NUL ends strings in too many programs, and half a surrogate pair cannot be written as UTF-8: both are refused, never repaired. */
const text = z
  .string()
  .refine((value) => !value.includes('\0'), 'must not hold a NUL character')
  .refine((value) => value.isWellFormed(), 'must be well-formed Unicode');

/** What a caller says: a text, or blocks of text. Length and emptiness are checked by the domain. */
export const messageInputSchema = z
  .union([text, z.array(z.strictObject({ type: z.literal('text'), text })).max(blockLimit)])
  .transform((message): ContentBlock[] => (typeof message === 'string' ? [{ type: 'text', text: message }] : message));

export const idempotencyKeySchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,200}$/, 'must be 1 to 200 printable ASCII characters');

/** From the start of a turn to its forced end, in milliseconds. The most that is granted is the operator's CAISSON_RUN_TIMEOUT. */
export const runTimeoutSchema = z
  .int()
  .min(1_000)
  .max(7 * 24 * 3_600_000);
