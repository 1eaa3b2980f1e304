import { z } from 'zod';

/**
 * An email address. Its letters A to Z are lower case: whoever it is delivered to has it in both. Nothing else is folded: by
 * Unicode `K` (Kelvin) is `k`, and the address of somebody would be that of somebody else.
 */
export const emailSchema = z
  .string()
  .trim()
  .max(254)
  .transform((text) => text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()))
  .refine(
    (text) => /^[^\s@\p{Cc}]{1,64}@[^\s@\p{Cc}]+\.[^\s@\p{Cc}.]+$|^[^\s@\p{Cc}]{1,64}@localhost$/u.test(text),
    'must be an email address',
  );
