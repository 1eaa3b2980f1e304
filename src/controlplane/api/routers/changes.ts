import { z } from 'zod';
import { agentIdSchema, checkpointIdSchema, runIdSchema } from '../../../kernel/ids.ts';
import { changesBounds } from '../../../wire/contract/changes.ts';
import {
  checkpointListSchema,
  comparisonFields,
  diffAnswerSchema,
  pathsSchema,
  restoreAnswerSchema,
  statusAnswerSchema,
  toWireSince,
} from '../schemas/changes.ts';
import { procedure, router } from '../trpc.ts';

const restoreFields = { paths: pathsSchema, force: z.boolean().default(false) };

export const changesRouter = router({
  /**
   * What differs from the last commit of each repository in the workspace, from the start of a run, or from a checkpoint. Ignored files do
   * not count; what is too large (32 MiB) or cannot be read is named in `leftOut`. Bytes are compared: a file that a filter
   * of git changes at its checkout (LFS) differs. Paths are as in `files`. NO_REPOSITORY with `since: 'commit'` where there
   * is none; CHECKPOINT_NOT_FOUND.
   */
  status: procedure
    .meta({ needs: 'view' })
    .input(
      z.strictObject({
        agentId: agentIdSchema,
        ...comparisonFields,
        limit: z.int().min(1).max(changesBounds.statusEntries).default(200),
      }),
    )
    .output(statusAnswerSchema)
    .query(async ({ ctx, input, signal }) => {
      const { agentId, since, cursor, ...request } = input;
      const guest = await ctx.services.workspaces.open(ctx.demand, agentId, signal);
      const asked = { ...request, since: toWireSince(since), after: cursor };
      const { changes, nextAfter, ...page } = await guest.changes.status(asked, signal);
      return { ...page, items: changes, nextCursor: nextAfter };
    }),

  /**
   * The same as unified diffs, file by file: joined they are a patch that `git apply` takes. One of more than 256 KiB is cut
   * at the end of a line, and `cutBytes` says by how much; binary files are only named. A page holds up to 1 MiB of them.
   * `encoding: 'latin1'` where a file is no UTF-8: then each character of `patch` stands for a byte.
   */
  diff: procedure
    .meta({ needs: 'view' })
    .input(
      z.strictObject({
        agentId: agentIdSchema,
        ...comparisonFields,
        limit: z.int().min(1).max(changesBounds.diffFiles).default(changesBounds.diffFiles),
        /** Lines around each change. */
        context: z.int().min(0).max(1_000).default(3),
      }),
    )
    .output(diffAnswerSchema)
    .query(async ({ ctx, input, signal }) => {
      const { agentId, since, cursor, ...request } = input;
      const guest = await ctx.services.workspaces.open(ctx.demand, agentId, signal);
      const asked = { ...request, since: toWireSince(since), after: cursor };
      const { files, nextAfter, ...page } = await guest.changes.diff(asked, signal);
      return { ...page, items: files, nextCursor: nextAfter };
    }),

  /**
   * The checkpoints that are kept, the newest first: one before each run, under the run's id, and one before each restore.
   * `failure` says why one could not be taken.
   */
  checkpoints: procedure
    .meta({ needs: 'view' })
    .input(z.strictObject({ agentId: agentIdSchema }))
    .output(checkpointListSchema)
    .query(async ({ ctx, input, signal }) => {
      const guest = await ctx.services.workspaces.open(ctx.demand, input.agentId, signal);
      return { items: await guest.changes.checkpoints(signal) };
    }),

  /**
   * Puts the files of the workspace back as they were before a run, or at a checkpoint; files that were added since are
   * removed. Ignored files and all `.git` folders stay as they are. A checkpoint of the present is taken first: restoring
   * `undo` with the same `paths` takes it back, and without them all that was done since, elsewhere too. Files that cannot be restored are left alone, and named in `kept`. RUN_UNDER_WAY while a run of
   * the agent is, unless forced; CHECKPOINT_NOT_FOUND; DISK_FULL with `undo` in its details.
   */
  restore: procedure
    .meta({ needs: 'use' })
    .input(
      z.union([
        z.strictObject({ runId: runIdSchema, ...restoreFields }),
        z.strictObject({ agentId: agentIdSchema, checkpointId: checkpointIdSchema, ...restoreFields }),
      ]),
    )
    .output(restoreAnswerSchema)
    .mutation(async ({ ctx, input, signal }) => {
      const { access, workspaces, domain } = ctx.services;
      const { paths, force } = input;
      const [agentId, checkpoint] =
        'runId' in input
          ? [(await access.run(ctx.demand, input.runId)).agentId, input.runId]
          : [input.agentId, input.checkpointId];
      const guest = await workspaces.openToRun(ctx.demand, agentId, signal);
      const report = await guest.changes.restore({ checkpoint, paths, force });
      const { undo, written, removed } = report;
      const restored = { by: ctx.principal.userId, checkpoint, paths, undo, written, removed };
      await domain.agents.workspaceRestored(agentId, restored);
      return { ...report, checkpoint, paths };
    }),
});
