import { z } from 'zod';
import {
  commandSchema,
  environmentSchema,
  exitSchema,
  maxExecOutputBytes,
  processInfoSchema,
  processListSchema,
  signalSchema,
} from '../../../wire/contract/processes.ts';

/** What is to be run. */
export const commandFields = {
  command: commandSchema,
  cwd: z.string().min(1).max(8_192).optional(),
  env: environmentSchema.optional(),
};

/** How the bytes of a process stand in JSON: as the text that they are in UTF-8, or as base64, which is exact. */
const encodingSchema = z.enum(['utf8', 'base64']);

export const bytesInputSchema = z.strictObject({ data: z.string(), encoding: encodingSchema.default('utf8') });

export const execFields = {
  /** What the process reads. Default: nothing. */
  input: bytesInputSchema.optional(),
  timeoutMs: z.int().min(1).max(600_000).default(60_000),
  maxOutputBytes: z
    .int()
    .min(1)
    .max(maxExecOutputBytes)
    .default(1024 * 1024),
  encoding: encodingSchema.default('utf8'),
};

export const execResultSchema = exitSchema.extend({
  durationMs: z.number(),
  stdout: z.string(),
  stderr: z.string(),
  /** Bytes before what is given here that are gone, because the output was longer than `maxOutputBytes`. */
  cut: z.object({ stdout: z.int(), stderr: z.int() }),
});

export const processSchema = processInfoSchema;
export const processesSchema = processListSchema;

export const targetFields = {
  /** Either a process that was started through the API, with its group … */
  processId: processInfoSchema.shape.id.optional(),
  /** … or any process of the sandbox. */
  pid: z.int().min(1).max(4_194_304).optional(),
};

export { signalSchema };

const chunkSchema = z.object({
  stream: z.enum(['stdout', 'stderr']),
  /** Of its first byte: how many bytes of either output came before it. */
  offset: z.int(),
  data: z.string(),
  encoding: encodingSchema,
});

export const logBatchSchema = z.object({
  /** Bytes before the first chunk that are gone. */
  lost: z.int(),
  chunks: z.array(chunkSchema).readonly(),
  /** Where to read on. */
  next: z.int(),
  /** The process as it is where its log ends: in the last item, and only there. */
  ended: processInfoSchema.nullable(),
});
export type LogBatch = z.infer<typeof logBatchSchema>;
