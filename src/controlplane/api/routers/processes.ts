import { tracked, type TrackedEnvelope } from '@trpc/server';
import { z } from 'zod';
import { anyOf } from '../../../kernel/deadline.ts';
import { CaissonError } from '../../../kernel/errors.ts';
import { agentIdSchema, processIdSchema } from '../../../kernel/ids.ts';
import { inputAnswerSchema, killAnswerSchema } from '../../../wire/contract/processes.ts';
import { decodeBytes } from '../../workspace/encoded-bytes.ts';
import { readProcessLogs } from '../../workspace/process-logs.ts';
import {
  bytesInputSchema,
  commandFields,
  execFields,
  execResultSchema,
  type LogBatch,
  processesSchema,
  processSchema,
  signalSchema,
  targetFields,
} from '../schemas/process.ts';
import { router, sandboxProcedure } from '../trpc.ts';

const ofAgent = { agentId: agentIdSchema };
const byId = z.strictObject({ ...ofAgent, processId: processIdSchema });

export const processesRouter = router({
  /**
   * Runs a command to its end and answers how it ended and what it said. No shell is involved: give one, `["bash", "-c", "…"]`,
   * where you want one. The process is killed when the time is up (`timedOut`), and when the caller leaves. Of each output
   * the last `maxOutputBytes` are given; `cut` says how many bytes came before. With `encoding: "base64"` they are exact;
   * as text, what is no UTF-8 is replaced.
   */
  exec: sandboxProcedure
    .meta({ needs: 'use' })
    .input(z.strictObject({ ...ofAgent, ...commandFields, ...execFields }))
    .output(execResultSchema)
    .mutation(async ({ ctx, input, signal }) => {
      const { agentId, encoding, input: given, ...request } = input;
      const read = given === undefined ? {} : { input: decodeBytes(given).toString('base64') };
      const guest = await ctx.services.workspaces.openToRun(ctx.demand, agentId, signal);
      const { stdout, stderr, ...end } = await guest.processes.exec({ ...request, ...read }, signal);
      const textOf = (base64: string): string =>
        encoding === 'base64' ? base64 : Buffer.from(base64, 'base64').toString('utf8');
      return {
        ...end,
        stdout: textOf(stdout.data),
        stderr: textOf(stderr.data),
        cut: { stdout: stdout.lost, stderr: stderr.lost },
      };
    }),

  /**
   * Starts a command in the background. It goes on whatever becomes of the caller and of the control plane, until it ends or
   * its sandbox stops. It never waits for somebody to read its output: the last MiB is kept (see `logs`), also for an hour
   * after its end. At most 64 processes run at a time: LIMIT_REACHED.
   */
  start: sandboxProcedure
    .meta({ needs: 'use' })
    .input(
      z.strictObject({
        ...ofAgent,
        ...commandFields,
        /** Whether its input stays open for `write`. */
        keepInput: z.boolean().default(false),
      }),
    )
    .output(processSchema)
    .mutation(async ({ ctx, input, signal }) => {
      const { agentId, ...request } = input;
      return await (await ctx.services.workspaces.openToRun(ctx.demand, agentId, signal)).processes.start(request);
    }),

  /**
   * What was started through the API, the processes that have ended first; the whole tree of processes in the sandbox, with
   * whom each belongs to; and how much of the sandbox's limits is used.
   */
  list: sandboxProcedure
    .meta({ needs: 'view' })
    .input(z.strictObject(ofAgent))
    .output(processesSchema)
    .query(async ({ ctx, input, signal }) => {
      return await (await ctx.services.workspaces.running(ctx.demand, input.agentId, signal)).processes.list(signal);
    }),

  /** A process that was started through the API. */
  get: sandboxProcedure
    .meta({ needs: 'view' })
    .input(byId)
    .output(processSchema)
    .query(async ({ ctx, input, signal }) => {
      return await (
        await ctx.services.workspaces.running(ctx.demand, input.agentId, signal)
      ).processes.get(input.processId);
    }),

  /**
   * Writes to the input of a process that was started with `keepInput`, and ends it where `end` says so. INPUT_CLOSED when it
   * is at its end; INPUT_FULL, with nothing written, where more than 1 MiB would wait for the process to read it.
   */
  write: sandboxProcedure
    .meta({ needs: 'use' })
    .input(byId.extend({ input: bytesInputSchema.prefault({ data: '' }), end: z.boolean().default(false) }))
    .output(inputAnswerSchema)
    .mutation(async ({ ctx, input, signal }) => {
      const guest = await ctx.services.workspaces.running(ctx.demand, input.agentId, signal);
      return await guest.processes.write(input.processId, decodeBytes(input.input), input.end);
    }),

  /** Signals a process of the API with its whole group, or one process of the sandbox by its `pid`. */
  signal: sandboxProcedure
    .meta({ needs: 'use' })
    .input(z.strictObject({ ...ofAgent, ...targetFields, signal: signalSchema }))
    .output(z.object({}))
    .mutation(async ({ ctx, input, signal }) => {
      const { processes } = await ctx.services.workspaces.running(ctx.demand, input.agentId, signal);
      const target = oneTarget(input);
      if ('id' in target) await processes.signal(target.id, input.signal);
      else await processes.signalPid(target.pid, input.signal);
      return {};
    }),

  /**
   * Ends a process with all that it started: first by `signal`, after `graceMs` by SIGKILL. By `processId` also what has left
   * its session and lost its parent is found, unless it has cleared `CAISSON_PROCESS_ID` from its environment; by `pid`, what is
   * in its session or below it in the tree. Answers when they are gone, with how many there were; `left` are those that even SIGKILL did not
   * end in time.
   */
  kill: sandboxProcedure
    .meta({ needs: 'use' })
    .input(
      z.strictObject({
        ...ofAgent,
        ...targetFields,
        signal: signalSchema.default('SIGTERM'),
        graceMs: z.int().min(0).max(60_000).default(5_000),
      }),
    )
    .output(killAnswerSchema)
    .mutation(async ({ ctx, input, signal }) => {
      const { processes } = await ctx.services.workspaces.running(ctx.demand, input.agentId, signal);
      return await processes.kill({ target: oneTarget(input), signal: input.signal, graceMs: input.graceMs });
    }),

  /** Waits for the end of a process. A time-out ends the wait, never the process; `state` of the answer tells. */
  wait: sandboxProcedure
    .meta({ needs: 'view' })
    .input(byId.extend({ timeoutMs: z.int().min(0).max(600_000).default(30_000) }))
    .output(processSchema)
    .query(async ({ ctx, input, signal }) => {
      const guest = await ctx.services.workspaces.running(ctx.demand, input.agentId, signal);
      const over = anyOf(signal, ctx.services.draining);
      return await guest.processes.wait(input.processId, input.timeoutMs, over);
    }),

  /**
   * The output of a background process, both streams in the order in which they came, from the byte after `after` on: an
   * offset counts the bytes of both. `lost` says exactly how many bytes are gone before the chunks of an item. With `follow` it
   * goes on until nothing holds the output open any more; else it stops at what is there. The last item has `ended`. The id of
   * an item is where to read on, which a client that reconnects sends as `lastEventId`.
   */
  logs: sandboxProcedure
    .meta({ needs: 'view' })
    .input(
      byId.extend({
        after: z.int().min(0).default(0),
        follow: z.boolean().default(false),
        lastEventId: z
          .string()
          .regex(/^\d{1,15}$/, 'must be the `next` of an item')
          .nullish(),
      }),
    )
    .subscription(async function* ({ ctx, input, signal }): AsyncGenerator<TrackedEnvelope<LogBatch>, void> {
      const { workspaces, subscriptions } = ctx.services;
      using place = subscriptions.enter(ctx.principal, signal);
      place.about(input.agentId);
      const guest = await workspaces.running(ctx.demand, input.agentId, place.signal);
      const { processId, follow } = input;
      const batches = readProcessLogs(guest, {
        processId,
        follow,
        after: input.lastEventId == null ? input.after : Number(input.lastEventId),
        signal: place.signal,
      });
      for await (const batch of batches) yield tracked(String(batch.next), batch);
      place.signal.throwIfAborted();
    }),
});

function oneTarget({
  processId,
  pid,
}: {
  readonly processId?: z.infer<typeof processIdSchema> | undefined;
  readonly pid?: number | undefined;
}) {
  if (processId !== undefined && pid === undefined) return { id: processId };
  if (processId === undefined && pid !== undefined) return { pid };
  throw new CaissonError('BAD_REQUEST', 'Name either a `processId` or a `pid`.');
}
