import { byteSize } from '../kernel/byte-size.ts';
import { CaissonError } from '../kernel/errors.ts';
import type { AgentId, ConversationId, IncarnationId, RunId } from '../kernel/ids.ts';
import type { Clock } from '../kernel/clock.ts';
import type { HarnessEvent } from '../wire/contract/harness-event.ts';
import { mostPendingPermissions, mostSaidBytes } from '../wire/contract/journal-bounds.ts';
import type { JournalBody, JournalEntry } from '../wire/contract/journal-entry.ts';
import type { TurnOutcome } from '../wire/contract/turn.ts';
import { recordingActivity } from './activity.ts';
import type { EventLog, Record } from './event-log.ts';
import type { AnsweredPermissions } from './permission-service.ts';
import type { AgentTransaction } from './ports.ts';
import { isTerminal, type Run, type RunEnd } from './run.ts';
import { endRun } from './run-ending.ts';

/** Beside its words, of each thing that is said. */
const bytesOfRow = 1_024;
/** How far the guest's clock may be ahead of ours before its words are no longer believed. */
const clockSlackMs = 60_000;

/** What a run was told that had no more room in a budget of ours; undefined where none had spent it. */
export type SpentIn = (runId: RunId) => string | undefined;

/** One entry on its way into the log. */
interface Application {
  readonly tx: AgentTransaction;
  readonly record: Record;
  readonly agentId: AgentId;
  readonly incarnation: IncarnationId;
  /** When it happened: by the guest's clock, within the life of the agent so far. */
  readonly at: number;
  readonly now: number;
}

/**
 * Turns a guest's journal into events, messages and run states, each entry exactly once: the position is stored in the
 * same transaction. The guest is not trusted: an entry that names a conversation or a run of another agent, or that
 * leaves a gap, is GUEST_PROTOCOL, and nothing of its batch is stored.
 */
export class JournalApplier {
  readonly #log: EventLog;
  readonly #clock: Clock;
  readonly #answers: AnsweredPermissions;
  readonly #permissionTimeoutMs: number;
  readonly #spentIn: SpentIn;

  constructor(dependencies: {
    log: EventLog;
    clock: Clock;
    answers: AnsweredPermissions;
    permissionTimeoutMs: number;
    spentIn: SpentIn;
  }) {
    this.#log = dependencies.log;
    this.#clock = dependencies.clock;
    this.#answers = dependencies.answers;
    this.#permissionTimeoutMs = dependencies.permissionTimeoutMs;
    this.#spentIn = dependencies.spentIn;
  }

  async apply(agentId: AgentId, incarnation: IncarnationId, entries: readonly JournalEntry[]): Promise<void> {
    const last = entries.at(-1);
    if (last === undefined) return;
    await this.#log.write(agentId, async (tx, record) => {
      const agent = await tx.findAgent(agentId);
      if (agent?.sandbox.state !== 'running' || agent.sandbox.incarnation !== incarnation) {
        throw new CaissonError(
          'SANDBOX_NOT_RUNNING',
          `Incarnation ${incarnation} of agent ${agentId} is no longer the present one.`,
        );
      }
      let position = await tx.journalPosition(agentId, incarnation);
      const now = this.#clock.now();
      const owned = new Set<string>();
      for (const entry of entries) {
        if (entry.seq <= position) continue;
        if (entry.seq !== position + 1) throw protocol(agentId, `entry ${entry.seq} came after ${position}`);
        position = entry.seq;
        const at = Math.min(Math.max(entry.at, agent.createdAt), now);
        const application = { tx, record, agentId, incarnation, at, now };
        await checkOwnership(application, entry.body, owned);
        await this.#applyBody(application, entry.body);
      }
      await tx.setJournalPosition(agentId, incarnation, position);
    });
    await this.#log.room(agentId);
  }

  async #applyBody(application: Application, body: JournalBody): Promise<void> {
    const { tx, record, at } = application;
    switch (body.type) {
      case 'harness.started':
        return;
      case 'harness.exited': {
        const { exitCode, signal, stderr } = body;
        record({ conversationId: null, runId: null, at, data: { type: 'harness.exited', exitCode, signal, stderr } });
        return;
      }
      case 'session.opened': {
        const { type, conversationId, sessionId, how, ...offer } = body;
        await tx.setConversationSession(conversationId, sessionId);
        await tx.setSessionOffer(application.agentId, offer);
        record({ conversationId, runId: null, at, data: { type, how, ...offer } });
        return;
      }
      case 'turn.started': {
        const run = await this.#runOf(application, body.runId);
        if (run.state !== 'starting') return;
        await tx.moveRun(run.id, run.state, { state: 'running', startedAt: at });
        record({ conversationId: run.conversationId, runId: run.id, at, data: { type: 'run.started' } });
        return;
      }
      case 'turn.ended': {
        const run = await this.#runOf(application, body.runId);
        const { end, usage } = runEndOf(body.outcome, this.#spentIn(body.runId));
        await recordingActivity({ ...application, now: at }, async () => {
          await endRun(application, run, end, usage);
        });
        return;
      }
      case 'port.opened':
      case 'port.closed':
        record({ conversationId: null, runId: null, at, data: body });
        return;
      case 'event':
        await this.#applyEvent(application, body);
        return;
    }
  }

  async #applyEvent(application: Application, body: Extract<JournalBody, { type: 'event' }>): Promise<void> {
    const { tx, record, agentId, at } = application;
    const { conversationId, runId, event } = body;
    const place = { conversationId, runId, at };
    switch (event.type) {
      case 'message.completed': {
        const { messageId: id, content } = event;
        if (await tx.hasMessage(id)) throw protocol(agentId, `message ${id} was completed before`);
        await requireWords(application, content);
        await tx.insertMessage({
          id,
          agentId,
          conversationId,
          runId,
          role: 'agent',
          senderId: null,
          content,
          createdAt: at,
        });
        record({ ...place, data: event });
        return;
      }
      case 'session.updated': {
        const model = (await tx.findConversation(conversationId))?.model ?? null;
        await tx.setConversationChoices(conversationId, { model, mode: event.mode });
        record({ ...place, data: event });
        return;
      }
      case 'permission.requested': {
        const { now } = application;
        const latest = now + this.#permissionTimeoutMs + clockSlackMs;
        const request = { ...event, expiresAt: Math.min(Math.max(event.expiresAt, now), latest) };
        await this.#requestPermission(application, request, conversationId, runId);
        record({ ...place, data: request });
        await this.#followPermissions(application, runId);
        return;
      }
      case 'permission.resolved': {
        const pending = await tx.findPendingPermission(event.permissionId);
        if (pending?.agentId !== agentId || pending.conversationId !== conversationId || pending.runId !== runId) {
          throw protocol(agentId, `permission ${event.permissionId} is not pending`);
        }
        const resolvedBy = this.#answers.take(event);
        if (resolvedBy !== null) await tx.spokenTo(agentId);
        const { outcome, optionId } = event;
        await tx.resolvePermission(pending.id, { outcome, optionId, resolvedBy, resolvedAt: at });
        record({ ...place, data: { ...event, resolvedBy } });
        await this.#followPermissions(application, runId);
        return;
      }
      default:
        record({ ...place, data: event });
    }
  }

  async #requestPermission(
    application: Application,
    event: Extract<HarnessEvent, { type: 'permission.requested' }>,
    conversationId: ConversationId,
    runId: RunId | null,
  ): Promise<void> {
    const { tx, agentId, incarnation, at } = application;
    const { permissionId: id, toolCallId, title, kind, input = null, content, options, expiresAt } = event;
    if (await tx.hasPermission(id)) throw protocol(agentId, `permission ${id} was requested before`);
    if ((await tx.countPendingPermissions(agentId)) >= mostPendingPermissions) {
      throw protocol(agentId, `${mostPendingPermissions} permission requests are pending already`);
    }
    const request = { toolCallId, title, kind, input, content, options, expiresAt };
    await requireWords(application, request);
    await tx.insertPermission({
      id,
      agentId,
      conversationId,
      runId,
      incarnation,
      ...request,
      createdAt: at,
      state: 'pending',
      resolution: null,
    });
  }

  /** A run awaits permission exactly while one of its requests is pending. */
  async #followPermissions(application: Application, runId: RunId | null): Promise<void> {
    if (runId === null) return;
    const { tx, at } = application;
    const run = await this.#runOf(application, runId);
    const state = (await tx.isPermissionAwaited(runId)) ? 'awaiting_permission' : 'running';
    if (isTerminal(run.state) || run.state === state || run.state === 'queued' || run.state === 'starting') return;
    await recordingActivity({ ...application, now: at }, async () => {
      await tx.moveRun(runId, run.state, { state });
    });
  }

  async #runOf({ tx, agentId }: Application, runId: RunId): Promise<Run> {
    const run = await tx.findRun(runId);
    if (run === undefined) throw protocol(agentId, `there is no run ${runId}`);
    return run;
  }
}

/**
 * The conversation must be the agent's, and the run the conversation's: where it is, its agent is that of the conversation as well.
 * `owned` remembers what was found so in this batch.
 */
async function checkOwnership({ tx, agentId }: Application, body: JournalBody, owned: Set<string>): Promise<void> {
  if (!('conversationId' in body)) return;
  const { conversationId } = body;
  const runId = 'runId' in body ? body.runId : null;
  const place = runId === null ? conversationId : `${conversationId} ${runId}`;
  if (owned.has(place)) return;
  const run = runId === null ? undefined : await tx.findRun(runId);
  if (run?.agentId !== agentId || run.conversationId !== conversationId) {
    const conversation = await tx.findConversation(conversationId);
    if (conversation?.agentId !== agentId) throw protocol(agentId, `conversation ${conversationId} is not the agent's`);
    if (runId !== null) throw protocol(agentId, `run ${runId} is not of ${conversationId}`);
  }
  owned.add(place);
}

/** What is kept for ever of what an agent says is bounded. */
async function requireWords({ tx, agentId }: Application, words: unknown): Promise<void> {
  const said = await tx.countSaid(agentId, Buffer.byteLength(JSON.stringify(words)) + bytesOfRow);
  if (said > mostSaidBytes)
    throw protocol(agentId, `it has said more than ${byteSize(mostSaidBytes)} since it was spoken to`);
}

/** `spent`: the budget of ours that the run had no more room in. A harness says the same of it as of the model service's. */
function runEndOf(outcome: TurnOutcome, spent: string | undefined): { end: RunEnd; usage: Run['usage'] } {
  if (outcome.state === 'failed' && outcome.reason === 'model_quota_exhausted' && spent !== undefined) {
    return { end: { ...outcome, message: spent }, usage: null };
  }
  if (outcome.state !== 'completed') return { end: outcome, usage: null };
  return { end: { state: 'completed', reason: outcome.reason, message: null }, usage: outcome.usage };
}

function protocol(agentId: AgentId, what: string): CaissonError {
  return new CaissonError('GUEST_PROTOCOL', `The guest of agent ${agentId} broke the contract: ${what}.`);
}
