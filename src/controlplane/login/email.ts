import { z } from 'zod';

/** An email address, in lower case: whoever it is delivered to has it in every spelling. */
export const emailSchema = z
  .string()
  .trim()
  .max(254)
  .transform((text) => text.normalize('NFC').toLowerCase())
  .refine(
    (text) => /^[^\s@\p{Cc}]{1,64}@[^\s@\p{Cc}]+\.[^\s@\p{Cc}.]+$|^[^\s@\p{Cc}]{1,64}@localhost$/u.test(text),
    'an email address',
  );
