import { z } from 'zod';

const optionsSchema = z.object({
  offers: z.array(z.enum(['resume', 'load', 'close', 'title'])).default(['resume', 'load', 'close', 'title']),
  /** What can be chosen. The first is the choice of a new session; one called `forbidden` is refused. */
  modes: z.array(z.string()).default([]),
  models: z.array(z.string()).default([]),
  /** The model of a new session, where it is not the first of the list. */
  ownModel: z.string().nullable().default(null),
  /** Whether it tells choices as config options, or by the older ways. */
  choicesBy: z.enum(['config', 'methods']).default('config'),
  /** Written to stderr at the start. */
  stderr: z.string().nullable().default(null),
  /** Exits with this code before it says a word. */
  exitAtStart: z.int().nullable().default(null),
  neverInitialize: z.boolean().default(false),
  /** `session/new` answers that authentication is required. */
  refuseSessions: z.boolean().default(false),
  hangOnClose: z.boolean().default(false),
});

export type ScriptedAgentOptions = z.input<typeof optionsSchema>;

export function readOptions(json: string | undefined): z.output<typeof optionsSchema> {
  return optionsSchema.parse(JSON.parse(json ?? '{}'));
}
