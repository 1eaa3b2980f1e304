import { z } from 'zod';

/** Controls, format characters (directions of writing, invisible joiners and marks) and line separators. */
const hidden = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

/** Refuses what could make a name look like another one where it is shown, or cannot be written as UTF-8. Never repairs. */
export function shownAsItIs(text: z.ZodString): z.ZodString {
  return text
    .refine((value) => value.isWellFormed(), 'must be well-formed Unicode')
    .refine((value) => !hidden.test(value), 'must not hold control or format characters');
}

/** Of a user, a key or a conversation: what a person would type. */
export const displayNameSchema = shownAsItIs(
  z.string().trim().min(1, 'must not be empty').max(100, 'must have at most 100 characters'),
);
