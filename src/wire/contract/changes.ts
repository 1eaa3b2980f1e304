import * as z from 'zod';
import { checkpointIdSchema, runIdSchema } from '../../kernel/ids.ts';

/**
 * What the agent changed: the part of the guest's interface behind `changes.*`. Paths are relative to /workspace, as text
 * of `kernel/file-path.ts`. None of it needs the lease.
 *
 * | method, path                 | body           | answer                                              |
 * |------------------------------|----------------|-----------------------------------------------------|
 * | GET  /v1/changes/checkpoints |                | Checkpoints                                         |
 * | POST /v1/changes/status      | StatusRequest  | StatusPage or CHECKPOINT_NOT_FOUND or NO_REPOSITORY |
 * | POST /v1/changes/diff        | DiffRequest    | DiffPage, or the same errors                        |
 * | POST /v1/changes/restore     | RestoreRequest | RestoreReport or RUN_UNDER_WAY                      |
 */
export const changesPaths = {
  checkpoints: '/v1/changes/checkpoints',
  status: '/v1/changes/status',
  diff: '/v1/changes/diff',
  restore: '/v1/changes/restore',
} as const;

export const changesBounds = {
  /** Checkpoints that are kept; the oldest go first. */
  checkpoints: 100,
  /** Larger files are neither kept nor compared. */
  fileBytes: 32 * 1024 * 1024,
  /** Entries of one page of a status. */
  statusEntries: 500,
  /** Files of one page of a diff. */
  diffFiles: 50,
  /** Text of one file's diff; what is beyond is cut at the end of a line, and counted. */
  diffFileBytes: 256 * 1024,
  /** Text of one page of a diff, after which no further file is begun. */
  diffPageBytes: 1024 * 1024,
  /** Paths that a request may name. */
  paths: 100,
  /** Files named in a list of those that were left out; they are counted beyond. */
  named: 200,
  /** Repositories that are looked for in a workspace. */
  repositories: 50,
} as const;

/** No path of Linux has more than 4,096 bytes. */
const pathSchema = z.string().max(4_096);
const pathsSchema = z.array(pathSchema.min(1)).max(changesBounds.paths);

/** A run's id stands for the checkpoint before it. */
export const anyCheckpointIdSchema = z.union([runIdSchema, checkpointIdSchema]);
export type AnyCheckpointId = z.infer<typeof anyCheckpointIdSchema>;

export const leftOutSchema = z.object({
  path: pathSchema,
  /**
   * `too_large`: more than 32 MiB. `unreadable`: the agent may not read it. `special`: a pipe, socket or device.
   * `repository`: a bare git repository, whose history is nobody's to turn back. `name`: git cannot hold it.
   */
  reason: z.enum(['too_large', 'unreadable', 'special', 'repository', 'name']),
});
/** A file that no checkpoint holds. */
export type LeftOut = z.infer<typeof leftOutSchema>;

const leftOutFields = {
  /** Files that are neither kept nor compared: the first 200. */
  leftOut: z.array(leftOutSchema).max(changesBounds.named),
  leftOutTotal: z.int().min(0),
};

export const checkpointSchema = z.object({
  id: anyCheckpointIdSchema,
  /** `run`: taken before a run, whose id it has. `restore`: taken before files were put back. */
  kind: z.enum(['run', 'restore']),
  /** Milliseconds since the epoch. */
  at: z.int(),
  durationMs: z.int().min(0),
  /** Why it could not be taken; null for one that can be restored. */
  failure: z.string().max(1_000).nullable(),
  ...leftOutFields,
});
export type Checkpoint = z.infer<typeof checkpointSchema>;
export const checkpointsSchema = z.object({ checkpoints: z.array(checkpointSchema).max(changesBounds.checkpoints) });

/** The last commits of the repositories, or the state at a checkpoint. */
const sinceSchema = z.union([z.literal('commit'), anyCheckpointIdSchema]);
export type Since = z.infer<typeof sinceSchema>;

export const statusRequestSchema = z.object({
  since: sinceSchema,
  /** Files and folders; empty for the whole workspace. */
  paths: pathsSchema,
  limit: z.int().min(1).max(changesBounds.statusEntries),
  /** The path that the page before ended with; null for the first. */
  after: pathSchema.nullable(),
});
export type StatusRequest = z.infer<typeof statusRequestSchema>;

export const changeSchema = z.object({
  path: pathSchema,
  /** Where it was before; null unless renamed. */
  oldPath: pathSchema.nullable(),
  status: z.enum(['added', 'modified', 'deleted', 'renamed']),
  /** What it is now, or was where it is deleted. */
  type: z.enum(['file', 'link']),
  executable: z.boolean(),
  /** Bytes before and now; null where there is none. */
  oldSize: z.int().min(0).nullable(),
  size: z.int().min(0).nullable(),
  binary: z.boolean(),
  /** Lines; null where they are not counted, as in binary files. */
  added: z.int().min(0).nullable(),
  removed: z.int().min(0).nullable(),
});
export type Change = z.infer<typeof changeSchema>;

const repositorySchema = z.object({
  /** Its folder; empty where /workspace is one. */
  path: pathSchema,
  /** The last commit; null before the first. */
  commit: z
    .string()
    .regex(/^[0-9a-f]{40}$/)
    .nullable(),
});
export type Repository = z.infer<typeof repositorySchema>;

const pageFields = {
  /** With `since: 'commit'`: what was compared with. Files outside of them count as unchanged. */
  repositories: z.array(repositorySchema).max(changesBounds.repositories),
  /** Changes in all, on all pages. */
  total: z.int().min(0),
  /** `after` of the next page; null on the last one. */
  nextAfter: pathSchema.nullable(),
  ...leftOutFields,
};

export const statusPageSchema = z.object({
  changes: z.array(changeSchema).max(changesBounds.statusEntries),
  ...pageFields,
});
export type StatusPage = z.infer<typeof statusPageSchema>;

export const diffRequestSchema = statusRequestSchema.extend({
  limit: z.int().min(1).max(changesBounds.diffFiles),
  /** Lines around each change. */
  context: z.int().min(0).max(1_000),
});
export type DiffRequest = z.infer<typeof diffRequestSchema>;

export const fileDiffSchema = changeSchema.extend({
  /** A unified diff as git writes it, with its header; of a binary file only a line that says that it differs. */
  patch: z.string().max(2 * changesBounds.diffFileBytes), // a file that became a link has two
  /** `latin1` where the file is no UTF-8: then each character of `patch` stands for one byte. */
  encoding: z.enum(['utf8', 'latin1']),
  /** Bytes at the end of the diff that were cut off. */
  cutBytes: z.int().min(0),
});
export type FileDiff = z.infer<typeof fileDiffSchema>;

export const diffPageSchema = z.object({ files: z.array(fileDiffSchema).max(changesBounds.diffFiles), ...pageFields });
export type DiffPage = z.infer<typeof diffPageSchema>;

export const restoreRequestSchema = z.object({
  checkpoint: anyCheckpointIdSchema,
  paths: pathsSchema,
  /** Whether to go on while a run is under way. */
  force: z.boolean(),
});
export type RestoreRequest = z.infer<typeof restoreRequestSchema>;

const keptSchema = z.object({
  path: pathSchema,
  /**
   * `ignored`: it was ignored before the run. `left_out`: the checkpoint does not hold it. `unsaved`: what is there now
   * could not be brought back, as a file above 32 MiB. `in_the_way`: a folder, or something ignored, is where it belongs. `denied`: the agent may
   * not write there.
   */
  reason: z.enum(['ignored', 'left_out', 'unsaved', 'in_the_way', 'denied']),
});
/** A file that was left as it is. */
export type Kept = z.infer<typeof keptSchema>;

export const restoreReportSchema = z.object({
  /** The checkpoint of how it was just before. */
  undo: checkpointIdSchema,
  /** Files written, and files removed. */
  written: z.int().min(0),
  removed: z.int().min(0),
  /** The first 200. */
  kept: z.array(keptSchema).max(changesBounds.named),
  keptTotal: z.int().min(0),
});
export type RestoreReport = z.infer<typeof restoreReportSchema>;
