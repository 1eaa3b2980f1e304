import { createHash } from 'node:crypto';
import type { Clock } from '../kernel/clock.ts';
import { crashPoint } from '../kernel/crash-point.ts';
import { CaissonError } from '../kernel/errors.ts';
import { type ConversationId, newMessageId, newRunId, type RunId, type UserId } from '../kernel/ids.ts';
import type { ContentBlock } from '../wire/contract/harness-event.ts';
import { recordingActivity } from './activity.ts';
import type { Message } from './agent.ts';
import { defaultTitle, titleFrom } from './conversation-title.ts';
import type { EventLog } from './event-log.ts';
import { requireSandboxRoom } from './owner-room.ts';
import type { AgentStore, AgentTransaction, IdempotentRequest, Page, PageRequest, Quotas } from './ports.ts';
import { quotaExceeded } from './quota-exceeded.ts';
import type { RoomMaker } from './room-maker.ts';
import { isTerminal, type Run, type WhenBusy } from './run.ts';
import { endRun } from './run-ending.ts';
import type { RunExecutor } from './run-executor.ts';
import type { RunWaiters } from './run-waiters.ts';
import type { DomainSettings } from './settings.ts';

interface StartRequest {
  readonly principalId: UserId;
  readonly conversationId: ConversationId;
  readonly content: readonly ContentBlock[];
  /** The same key with the same request gives the same answer; with another, IDEMPOTENCY_CONFLICT. */
  readonly idempotencyKey?: string | undefined;
  readonly timeoutMs?: number | undefined;
  /** Default: `fail`. */
  readonly whenBusy?: WhenBusy | undefined;
}

export type AcceptedRun = Pick<IdempotentRequest, 'runId' | 'messageId' | 'acceptedAt'>;

interface RunServiceDependencies {
  readonly store: AgentStore;
  readonly log: EventLog;
  readonly executor: RunExecutor;
  readonly waiters: RunWaiters;
  readonly clock: Clock;
  readonly quotas: Quotas;
  readonly room: RoomMaker;
  readonly settings: DomainSettings;
}

/** Runs as callers see them: accepted, waited for, canceled. */
export class RunService {
  readonly #dependencies: RunServiceDependencies;

  constructor(dependencies: RunServiceDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Stores the message and the run, and answers. A conversation without a title gets one from the message. From here on the run ends in exactly one terminal state.
   * Errors: MESSAGE_EMPTY, MESSAGE_TOO_LARGE, BAD_REQUEST for a time-out beyond the operator's, CONVERSATION_NOT_FOUND,
   * CONVERSATION_CLOSED, AGENT_DELETING, QUEUE_FULL, QUOTA_EXCEEDED, IDEMPOTENCY_CONFLICT, DRAINING; none of them changes
   * anything.
   */
  async start(request: StartRequest): Promise<AcceptedRun> {
    const { store, log, executor, clock, quotas, room, settings } = this.#dependencies;
    const bytes = checkContent(request.content, settings.maxMessageBytes);
    checkTimeout(request.timeoutMs, settings.runTimeoutMs);
    if (executor.draining) throw new CaissonError('DRAINING', 'The control plane is shutting down.');
    const conversation = await store.findConversation(request.conversationId);
    if (conversation === undefined) throw conversationNotFound(request.conversationId);
    const { agentId } = conversation;
    const known = await store.findAgent(agentId);
    if (known === undefined) throw conversationNotFound(request.conversationId);
    const limits = await quotas.limitsOf(known.ownerId);
    checkSize(bytes, limits.messageBytes);
    const refusal = await quotas.refusalForRun(known, conversation.id);
    if (refusal === undefined) await room.makeRoom(known);
    const now = clock.now();
    const run: Run = {
      id: newRunId(),
      agentId,
      conversationId: conversation.id,
      messageId: newMessageId(),
      startedBy: request.principalId,
      timeoutMs: request.timeoutMs ?? settings.runTimeoutMs,
      acceptedAt: now,
      startedAt: null,
      endedAt: null,
      incarnation: null,
      cancelRequested: false,
      usage: null,
      whenBusy: request.whenBusy ?? 'fail',
      state: 'queued',
      reason: null,
      message: null,
    };
    const accepted: IdempotentRequest = {
      fingerprint: fingerprint(request),
      runId: run.id,
      messageId: run.messageId,
      acceptedAt: now,
    };
    const outcome = await log.write(agentId, async (tx, record) => {
      const scope =
        request.idempotencyKey === undefined
          ? undefined
          : { principalId: request.principalId, conversationId: conversation.id, key: request.idempotencyKey };
      const earlier = scope && (await tx.findIdempotent(scope));
      if (earlier !== undefined) return { accepted: earlier };

      const [agent, present] = [await tx.findAgent(agentId), await tx.findConversation(conversation.id)];
      if (agent === undefined || present === undefined) throw conversationNotFound(conversation.id);
      if (agent.deleting) throw new CaissonError('AGENT_DELETING', `Agent ${agent.name} is being deleted.`);
      if (present.status === 'closed')
        throw new CaissonError('CONVERSATION_CLOSED', `Conversation ${present.id} is closed.`);
      const ahead = (await tx.listActiveRuns({ conversationId: conversation.id })).length;
      if (ahead > settings.queueLimit) {
        throw new CaissonError('QUEUE_FULL', `${ahead} runs of this conversation are not over yet.`, {
          details: { limit: settings.queueLimit, used: ahead },
        });
      }
      if (refusal !== undefined) throw refusal;
      if (run.whenBusy === 'fail') await requireSandboxRoom(tx, agent, limits);
      await requireHistoryRoom(tx, { ownerId: agent.ownerId, bytes, limit: limits.historyBytes });
      if (scope !== undefined) await tx.insertIdempotent(scope, accepted);
      await recordingActivity({ tx, record, agentId, now }, async () => {
        const message: Message = {
          id: run.messageId,
          agentId,
          conversationId: conversation.id,
          runId: run.id,
          role: 'user',
          senderId: request.principalId,
          content: request.content,
          createdAt: now,
        };
        await tx.insertMessage(message);
        await tx.insertRun(run);
        const at = { conversationId: conversation.id, runId: run.id, at: now };
        const { id: messageId, role, senderId } = message;
        record({ ...at, data: { type: 'message.added', messageId, role, senderId, content: [...request.content] } });
        record({ ...at, data: { type: 'run.queued', messageId, ahead } });
        const title = present.title === defaultTitle ? titleFrom(request.content) : undefined;
        if (title === undefined) return;
        await tx.setConversationTitle(conversation.id, title);
        record({ ...at, runId: null, data: { type: 'conversation.titled', title } });
      });
      return { accepted, agent };
    });
    if (outcome.accepted.fingerprint !== accepted.fingerprint) {
      throw new CaissonError('IDEMPOTENCY_CONFLICT', 'This idempotency key was used for another message.', {
        details: { runId: outcome.accepted.runId },
      });
    }
    crashPoint('run-accepted');
    if (outcome.agent !== undefined) executor.enqueue(run, outcome.agent);
    const { runId, messageId, acceptedAt } = outcome.accepted;
    return { runId, messageId, acceptedAt };
  }

  /** Waits for the end of the run; undefined when `signal` aborts first, which never ends the run. */
  async wait(runId: RunId, signal: AbortSignal): Promise<Run | undefined> {
    const { waiters } = this.#dependencies;
    const run = await this.get(runId);
    using leave = new DisposableStack();
    const stop = new AbortController();
    leave.defer(() => stop.abort());
    const ended = waiters.ended(run, AbortSignal.any([signal, stop.signal]));
    ended.catch(() => undefined); // awaited below, unless the run is over already
    const present = await this.get(runId);
    if (isTerminal(present.state)) return present;
    return (await ended) ? await this.get(runId) : undefined;
  }

  async get(runId: RunId): Promise<Run> {
    const run = await this.#dependencies.store.findRun(runId);
    if (run === undefined) throw new CaissonError('RUN_NOT_FOUND', `There is no run ${runId}.`);
    return run;
  }

  async list(agentId: Run['agentId'], conversationId: ConversationId | null, page: PageRequest): Promise<Page<Run>> {
    return await this.#dependencies.store.listRuns(agentId, conversationId, page);
  }

  /**
   * What the agent said in the run so far, oldest first. Of a very long reply (over 500 messages, or 2 MiB) the end: then
   * `isCut`, and the rest is in the conversation's messages.
   */
  async reply(runId: RunId): Promise<{ readonly messages: readonly Message[]; readonly isCut: boolean }> {
    return await this.#dependencies.store.listReply(runId);
  }

  /**
   * A queued run ends at once. One that is under way is asked to stop, and killed when it does not.
   * Asking twice is no error. Errors: RUN_NOT_FOUND, RUN_ENDED.
   */
  async cancel(runId: RunId, by: UserId): Promise<Run> {
    const { log, executor, clock } = this.#dependencies;
    const { agentId } = await this.get(runId);
    await log.write(agentId, async (tx, record) => {
      const run = await tx.findRun(runId);
      if (run === undefined) throw new CaissonError('RUN_NOT_FOUND', `There is no run ${runId}.`);
      if (isTerminal(run.state)) throw new CaissonError('RUN_ENDED', `Run ${runId} is over: ${run.state}.`);
      if (run.cancelRequested) return;
      const now = clock.now();
      await tx.requestRunCancel(runId);
      record({ conversationId: run.conversationId, runId, at: now, data: { type: 'run.cancel_requested', by } });
      if (run.state !== 'queued') return;
      await recordingActivity({ tx, record, agentId, now }, async () => {
        await endRun({ tx, record, at: now }, run, { state: 'canceled', reason: 'canceled_by_user', message: null });
      });
    });
    executor.cancel(runId);
    return await this.get(runId);
  }
}

function conversationNotFound(id: ConversationId): CaissonError {
  return new CaissonError('CONVERSATION_NOT_FOUND', `There is no conversation ${id}.`);
}

/** Returns its bytes. */
function checkContent(content: readonly ContentBlock[], maxBytes: number): number {
  const text = content.map((block) => (block.type === 'text' ? block.text : '')).join('');
  if (content.length === 0 || (text.trim() === '' && content.every((block) => block.type === 'text'))) {
    throw new CaissonError('MESSAGE_EMPTY', 'The message has no text.');
  }
  const bytes = content.reduce(
    (sum, block) => sum + Buffer.byteLength(block.type === 'text' ? block.text : JSON.stringify(block.block)),
    0,
  );
  checkSize(bytes, maxBytes);
  return bytes;
}

function checkSize(bytes: number, limit: number | null): void {
  if (limit === null || bytes <= limit) return;
  throw new CaissonError('MESSAGE_TOO_LARGE', `The message has ${bytes} bytes; ${limit} are allowed.`, {
    details: { dimension: 'message_bytes', limit, used: bytes },
  });
}

/** What the agent answers is kept also beyond the limit, up to `mostSaidBytes`: the next message is then refused. */
async function requireHistoryRoom(
  tx: Pick<AgentTransaction, 'countHistoryBytes'>,
  { ownerId, bytes, limit }: { readonly ownerId: UserId; readonly bytes: number; readonly limit: number | null },
): Promise<void> {
  if (limit === null) return;
  const used = await tx.countHistoryBytes(ownerId);
  if (used + bytes <= limit) return;
  const hint = 'Delete an agent whose messages are no longer needed, or ask an administrator for more.';
  throw quotaExceeded({ dimension: 'history_bytes', limit, used, asked: bytes, hint });
}

function checkTimeout(asked: number | undefined, most: number): void {
  if (asked === undefined || asked <= most) return;
  throw new CaissonError('BAD_REQUEST', `The run asks for ${asked} ms; at most ${most} ms can be had here.`, {
    hint: 'Ask for less, or ask an administrator to raise CAISSON_RUN_TIMEOUT.',
    details: { field: 'timeoutMs', asked, most },
  });
}

function fingerprint(request: StartRequest): string {
  const { conversationId, content, timeoutMs = null, whenBusy = 'fail' } = request;
  const whole = [conversationId, content, timeoutMs, ...(whenBusy === 'fail' ? [] : [whenBusy])];
  return createHash('sha256').update(JSON.stringify(whole)).digest('hex');
}
