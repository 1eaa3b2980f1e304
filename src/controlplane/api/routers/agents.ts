import { z } from 'zod';
import type { Agent, AgentLimits } from '../../../agents/agent.ts';
import { byteSize } from '../../../kernel/byte-size.ts';
import { anyOf, deadline } from '../../../kernel/deadline.ts';
import { CaissonError, toCaissonError } from '../../../kernel/errors.ts';
import { agentIdSchema, conversationIdSchema, messageIdSchema } from '../../../kernel/ids.ts';
import type { DiskView } from '../../disk/disk-state.ts';
import type { SharedWith } from '../../auth/sharing-service.ts';
import { agentNameSchema, agentSchema } from '../schemas/agent.ts';
import { conversationSchema, messageSchema } from '../schemas/conversation.ts';
import { displayNameSchema } from '../schemas/display-name.ts';
import { idempotencyKeySchema, messageInputSchema, runTimeoutSchema } from '../schemas/message-input.ts';
import { pageFields, pageSchema } from '../schemas/page.ts';
import { permissionSchema } from '../schemas/permission.ts';
import { runSchema, waitOutcomeSchema } from '../schemas/run.ts';
import { shareRoleSchema, shareSchema } from '../schemas/share.ts';
import { sessionOfferSchema } from '../../../wire/contract/session-offer.ts';
import type { ApiServices } from '../services.ts';
import { procedure, router } from '../trpc.ts';
import { waitForRun } from '../wait-for-run.ts';

/** Longest wait for a sandbox to come up, and for an answer, in milliseconds. */
const readyTimeoutMs = 10 * 60_000;
const longestAnswerMs = 24 * 3_600_000;

const byId = z.strictObject({ agentId: agentIdSchema });

const limitsInput = z.strictObject({
  cpus: z.number().min(0.1).optional(),
  memoryBytes: bytesFrom(256 * 1_024 * 1_024).optional(),
  pids: z.int().min(64).optional(),
  /** Of workspace and home together. */
  diskBytes: bytesFrom(16 * 1_024 * 1_024).optional(),
});

function bytesFrom(least: number) {
  return z.int().min(least, `must be at least ${byteSize(least)} (${least} bytes)`);
}

export const agentsRouter = router({
  /**
   * Answers at once; the sandbox is brought up in the background. With `wait` it answers when the sandbox runs, or
   * with what kept it from starting: the agent is there in either case.
   */
  create: procedure
    .meta({ needs: 'create' })
    .input(
      z.strictObject({
        name: agentNameSchema,
        harness: z.string().max(100).optional(),
        /** A model id of the harness. Default: the control plane's model. */
        model: z
          .string()
          .regex(/^[\x21-\x7e]{1,200}$/, 'must be 1 to 200 printable ASCII characters')
          .optional(),
        limits: limitsInput.optional(),
        wait: z.boolean().default(false),
      }),
    )
    .output(agentSchema)
    .mutation(async ({ ctx, input, signal }) => {
      const { domain, access, about, draining } = ctx.services;
      const agent = await domain.agents.create({
        ownerId: ctx.principal.userId,
        name: input.name,
        harness: chooseHarness(ctx.services, input.harness),
        model: input.model ?? null,
        provider: about.provider,
        limits: chooseLimits(ctx.services, input.limits ?? {}),
      });
      if (!input.wait) return withDisk(ctx.services, await access.shown(ctx.principal, agent));
      using limit = deadline(readyTimeoutMs, `The start of agent ${agent.name}`, anyOf(signal, draining));
      const ready = await domain.agents.whenReady(agent.id, limit.signal).catch((thrown: unknown) => {
        signal?.throwIfAborted();
        throw notReady(thrown, agent);
      });
      return withDisk(ctx.services, await access.shown(ctx.principal, ready));
    }),

  /** The caller's own and those that are shared with it, newest first; everyone's for administrators. */
  list: procedure
    .meta({ needs: 'list' })
    .input(z.strictObject(pageFields).prefault({}))
    .output(pageSchema(agentSchema))
    .query(async ({ ctx, input }) => {
      const { domain, access } = ctx.services;
      const { items, nextCursor } = await domain.agents.list(access.visible(ctx.demand), input);
      const shown = await access.allShown(ctx.principal, items);
      return { items: shown.map((agent) => withDisk(ctx.services, agent)), nextCursor };
    }),

  /** By id, or by a name among the caller's own agents. */
  get: procedure
    .meta({ needs: 'view' })
    .input(z.union([byId, z.strictObject({ name: agentNameSchema })]))
    .output(agentSchema)
    .query(async ({ ctx, input }) => {
      const { domain, access } = ctx.services;
      const shown = async (agent: Agent) => withDisk(ctx.services, await access.shown(ctx.principal, agent));
      if ('agentId' in input) return await shown(await access.agent(ctx.demand, input.agentId));
      const agent = await domain.agents.findByName(ctx.principal.userId, input.name);
      if (agent === undefined || !(await access.sees(ctx.demand, agent.id))) {
        throw new CaissonError('AGENT_NOT_FOUND', `You have no agent called ${input.name}.`);
      }
      return await shown(agent);
    }),

  /** Everything that is needed to show an agent; events after `seq` carry on from there. */
  status: procedure
    .meta({ needs: 'view' })
    .input(byId)
    .output(
      z.object({
        agent: agentSchema,
        activity: z.enum(['idle', 'thinking', 'awaiting_permission', 'error']),
        seq: z.int().min(0),
        offer: sessionOfferSchema.nullable(),
        conversations: z.array(conversationSchema).readonly(),
        activeRuns: z.array(runSchema).readonly(),
        pendingPermissions: z.array(permissionSchema).readonly(),
      }),
    )
    .query(async ({ ctx, input }) => {
      const { domain, access } = ctx.services;
      await access.agent(ctx.demand, input.agentId);
      const snapshot = await domain.agents.snapshot(input.agentId);
      return { ...snapshot, agent: withDisk(ctx.services, await access.shown(ctx.principal, snapshot.agent)) };
    }),

  /**
   * Messages, oldest first within the page; the newest page comes first. A page ends before 1 MiB of content, but holds one
   * message at least.
   */
  history: procedure
    .meta({ needs: 'view' })
    .input(z.strictObject({ agentId: agentIdSchema, conversationId: conversationIdSchema.optional(), ...pageFields }))
    .output(pageSchema(messageSchema))
    .query(async ({ ctx, input }) => {
      const { domain, access } = ctx.services;
      const { agentId, conversationId, ...page } = input;
      if (conversationId === undefined) await access.agent(ctx.demand, agentId);
      else await access.conversationOf(ctx.demand, agentId, conversationId);
      return await domain.conversations.messages(agentId, conversationId ?? null, page);
    }),

  /**
   * The awaited round trip: stores the message, starts a run, waits for its end and returns what the agent said.
   * The run goes on when the caller leaves or `timeoutMs` is over; `runs.wait` finds it again.
   */
  sendMessage: procedure
    .meta({ needs: 'use' })
    .input(
      z.strictObject({
        agentId: agentIdSchema,
        conversationId: conversationIdSchema,
        message: messageInputSchema,
        idempotencyKey: idempotencyKeySchema.optional(),
        /** Of the run; at most the operator's CAISSON_RUN_TIMEOUT, which is also its default. */
        runTimeoutMs: runTimeoutSchema.optional(),
        /** Of the wait. */
        timeoutMs: z.int().min(0).max(longestAnswerMs).default(readyTimeoutMs),
      }),
    )
    .output(
      z.object({
        messageId: messageIdSchema,
        outcome: waitOutcomeSchema,
        /** The text of all that the agent said in the run so far; of more than 2 MiB or 500 messages the end. */
        reply: z.string(),
        messages: z.array(messageSchema).readonly(),
        /** Whether it said more before: `agents.history` has it. */
        isCut: z.boolean(),
      }),
    )
    .mutation(async ({ ctx, input, signal }) => {
      const { domain, access } = ctx.services;
      await access.conversationOf(ctx.demand, input.agentId, input.conversationId);
      const { runId, messageId } = await domain.runs.start({
        principalId: ctx.principal.userId,
        conversationId: input.conversationId,
        content: input.message,
        idempotencyKey: input.idempotencyKey,
        timeoutMs: input.runTimeoutMs,
      });
      const outcome = await waitForRun(ctx.services, { runId, timeoutMs: input.timeoutMs, signal });
      const { messages, isCut } = await domain.runs.reply(runId);
      const reply = messages
        .map(({ content }) => content.map((block) => (block.type === 'text' ? block.text : '')).join(''))
        .filter((text) => text !== '')
        .join('\n\n');
      return { messageId, outcome, reply, messages, isCut };
    }),

  /**
   * Answers when no sandbox, volume or row of the agent is left. Goes on when the caller leaves. Idempotent: an agent
   * that is not there (any more), or that the caller does not see, is left alone, and `existed` is false.
   */
  delete: procedure
    .meta({ needs: 'own' })
    .input(byId)
    .output(z.object({ agentId: agentIdSchema, existed: z.boolean() }))
    .mutation(async ({ ctx, input: { agentId } }) => {
      const { domain, access } = ctx.services;
      if (!(await access.sees(ctx.demand, agentId))) return { agentId, existed: false };
      await domain.agents.delete(agentId);
      return { agentId, existed: true };
    }),

  /**
   * Shares an agent with a user, or changes as what: an `editor` sends, approves and writes; a `viewer` watches. Only who owns
   * it shares and deletes it. At most 100 users: LIMIT_REACHED.
   */
  share: procedure
    .meta({ needs: 'own' })
    .input(z.strictObject({ agentId: agentIdSchema, user: displayNameSchema, role: shareRoleSchema }))
    .output(shareSchema)
    .mutation(async ({ ctx, input }) => shareView(await ctx.services.sharing.share(ctx.demand, input))),

  /** Takes it back, at once: what the user has open there ends. Where it was not shared, `existed` is false. */
  unshare: procedure
    .meta({ needs: 'own' })
    .input(z.strictObject({ agentId: agentIdSchema, user: displayNameSchema }))
    .output(z.object({ existed: z.boolean() }))
    .mutation(async ({ ctx, input }) => ({ existed: await ctx.services.sharing.unshare(ctx.demand, input) })),

  /** With whom an agent is shared, in the order of sharing; its owner is not among them. */
  shares: procedure
    .meta({ needs: 'view' })
    .input(byId)
    .output(z.object({ items: z.array(shareSchema).readonly() }))
    .query(async ({ ctx, input }) => ({
      items: (await ctx.services.sharing.list(ctx.demand, input.agentId)).map(shareView),
    })),
});

/** With what it takes of the disk. */
function withDisk<T extends Agent>({ quotas }: ApiServices, agent: T): T & { readonly disk: DiskView } {
  return { ...agent, disk: quotas.disks.view(agent) };
}

function shareView({ share: { userId, ...share }, name }: SharedWith): z.input<typeof shareSchema> {
  return { ...share, user: { id: userId, name } };
}

function chooseHarness({ about }: ApiServices, wanted: string | undefined): string {
  const harness = wanted ?? about.harnesses[0];
  if (harness === undefined || !about.harnesses.includes(harness)) {
    throw new CaissonError('BAD_REQUEST', `There is no harness ${JSON.stringify(wanted)} here.`, {
      hint: `Choose one of: ${about.harnesses.join(', ')}.`,
    });
  }
  return harness;
}

function chooseLimits({ sandboxLimits }: ApiServices, wanted: z.infer<typeof limitsInput>): AgentLimits {
  for (const field of ['cpus', 'memoryBytes', 'pids', 'diskBytes'] as const) {
    const [asked, most] = [wanted[field], sandboxLimits[field] ?? Infinity];
    if (asked !== undefined && asked > most) {
      throw new CaissonError('BAD_REQUEST', `limits.${field} is ${asked}; at most ${most} can be given.`, {
        hint: 'Ask for less, or ask an administrator to raise the limits of sandboxes.',
        details: { field, asked, most },
      });
    }
  }
  return {
    cpus: wanted.cpus ?? sandboxLimits.cpus,
    memoryBytes: wanted.memoryBytes ?? sandboxLimits.memoryBytes,
    pids: wanted.pids ?? sandboxLimits.pids,
    diskBytes: wanted.diskBytes ?? sandboxLimits.diskBytes ?? null,
  };
}

/** The agent exists although its sandbox did not start: that, and its id, must not be lost with the error. */
function notReady(thrown: unknown, { id: agentId, name }: Agent): CaissonError {
  const error = toCaissonError(thrown);
  if (error.code === 'AGENT_NOT_FOUND' || error.code === 'AGENT_DELETING') return error; // meanwhile
  return new CaissonError(error.code, `Agent ${name} is there, but its sandbox did not start: ${error.message}`, {
    hint: `${error.hint} Its next message starts it.`,
    details: { ...error.details, agentId },
    cause: thrown,
  });
}
