import { z } from 'zod';
import { compiled } from './compiled.ts';

/** Fields of the input of a listing. */
export const pageFields = {
  limit: z.int().min(1).max(200).default(50),
  /** The `nextCursor` of the page before. */
  cursor: z
    .string()
    .min(1)
    .max(500)
    .nullish()
    .transform((cursor) => cursor ?? null),
};

export function pageSchema<Item extends z.ZodType>(item: Item) {
  return compiled(z.object({ items: z.array(item).readonly(), nextCursor: z.string().nullable() }));
}
