import * as z from 'zod';
import { boundedArray } from './json-value.ts';

/** The id of a mode or a model, as the harness names it. */
export const choiceIdSchema = z.string().min(1).max(200);

const choiceSchema = z.object({ id: choiceIdSchema, name: z.string().max(200) });
/** A mode or a model that can be chosen. */
export type Choice = z.infer<typeof choiceSchema>;

/** Most modes, and most models, that an offer tells. A harness with more is told by its first ones. */
export const mostChoicesTold = 100;

/** What a session of a harness lets one choose. A harness that lets nobody choose offers none. */
export const sessionOfferSchema = z.object({
  modes: boundedArray(choiceSchema, mostChoicesTold),
  models: boundedArray(choiceSchema, mostChoicesTold),
  /** What a session has for which nobody chose; null where the harness does not say. */
  mode: choiceIdSchema.nullable(),
  model: choiceIdSchema.nullable(),
});
export type SessionOffer = z.infer<typeof sessionOfferSchema>;
