import { z } from 'zod';

/** A number of tokens as services tell it. */
export const tokens = z.int().min(0).max(1_000_000_000);
