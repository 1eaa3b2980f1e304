import { z } from 'zod';
import { checkpointIdSchema, runIdSchema } from '../../../kernel/ids.ts';
import {
  anyCheckpointIdSchema,
  changesBounds,
  changeSchema,
  checkpointSchema,
  diffPageSchema,
  fileDiffSchema,
  restoreReportSchema,
  type Since,
  statusPageSchema,
} from '../../../wire/contract/changes.ts';

/** Since the last commits of the repositories in the workspace, the start of a run, or another checkpoint. */
const sinceSchema = z.union([
  z.literal('commit'),
  z.strictObject({ runId: runIdSchema }),
  z.strictObject({ checkpointId: checkpointIdSchema }),
]);

/** Files and folders, relative to /workspace or absolute; none for all of it. */
export const pathsSchema = z.array(z.string().min(1).max(4_096)).max(changesBounds.paths).default([]);

export const comparisonFields = {
  since: sinceSchema,
  paths: pathsSchema,
  /** The `nextCursor` of the page before. */
  cursor: z
    .string()
    .max(4_096)
    .nullish()
    .transform((cursor) => cursor ?? null),
};

/** As the guest takes it. */
export function toWireSince(since: z.infer<typeof sinceSchema>): Since {
  if (since === 'commit') return since;
  return 'runId' in since ? since.runId : since.checkpointId;
}

const nextCursor = z.string().nullable();
const { nextAfter: _status, changes: _changes, ...statusFields } = statusPageSchema.shape;
const { nextAfter: _diff, files: _files, ...diffFields } = diffPageSchema.shape;

export const statusAnswerSchema = z.object({ ...statusFields, items: z.array(changeSchema), nextCursor });
export const diffAnswerSchema = z.object({ ...diffFields, items: z.array(fileDiffSchema), nextCursor });
export const checkpointListSchema = z.object({ items: z.array(checkpointSchema).readonly() });
export const restoreAnswerSchema = restoreReportSchema.extend({
  checkpoint: anyCheckpointIdSchema,
  /** As they were given: what is to be restored by `undo`. */
  paths: z.array(z.string()),
});
