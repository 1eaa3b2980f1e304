import type { Clock } from '../kernel/clock.ts';
import { orAbort } from '../kernel/deadline.ts';
import { CaissonError, toCaissonError } from '../kernel/errors.ts';
import type { AgentId, ConversationId, IncarnationId, RunId, UserId } from '../kernel/ids.ts';
import { crashPoint } from '../kernel/crash-point.ts';
import type { Logger } from '../kernel/logger.ts';
import { pause } from '../kernel/pause.ts';
import { recordingActivity } from './activity.ts';
import type { Agent, Conversation, Message } from './agent.ts';
import type { EventLog } from './event-log.ts';
import { Execution } from './execution.ts';
import { Lanes, type Parked } from './lanes.ts';
import { sandboxRefusal } from './owner-room.ts';
import type { Access, AgentStore, AgentTransaction, Guest, Quotas, Sandboxes } from './ports.ts';
import type { RoomMaker } from './room-maker.ts';
import { RoomQueue } from './room-queue.ts';
import { isTerminal, type Run, type RunEnd } from './run.ts';
import { endRun } from './run-ending.ts';
import type { RunWaiters } from './run-waiters.ts';
import { sessionSpec } from './session-spec.ts';
import type { DomainSettings } from './settings.ts';

/** The guest ends a turn by itself when its time is up; a guest that did not within this time no longer obeys. */
const unresponsiveAfterMs = 30_000;
/** Between two attempts to reach a guest, or a store, that failed. */
const firstRetryMs = 50;
const longestRetryMs = 5_000;

/** Why nothing more is waited for. It is the same every time: an error of its own takes longer than the rest of an abort. */
const isSettled = new CaissonError('ABORTED', 'The run is settled.');
const isOver = new CaissonError('ABORTED', 'The run is over.');

interface ExecutorDependencies {
  readonly store: AgentStore;
  readonly log: EventLog;
  readonly waiters: RunWaiters;
  readonly sandboxes: Sandboxes;
  readonly access: Access;
  readonly quotas: Quotas;
  readonly room: RoomMaker;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly settings: DomainSettings;
  /** Does what belongs to a run, for whoever watches. */
  readonly withinRun: WithinRun;
}

export type WithinRun = <T>(runId: RunId, work: () => T) => T;

/**
 * Takes runs from `queued` to their end, one at a time in a conversation. What a run does is decided by the guest: the
 * executor hands it over, and waits for the journal to say that it is over. It can be killed at any point: the next one
 * carries on from what is stored.
 */
export class RunExecutor {
  readonly #dependencies: ExecutorDependencies;
  readonly #lanes: Lanes<ConversationId, UserId>;
  /** Runs that have left the queue, by id; at most `maxConcurrentRuns`. */
  readonly #executions = new Map<RunId, Execution>();
  readonly #drain = new AbortController();
  readonly #room = new RoomQueue();

  constructor(dependencies: ExecutorDependencies) {
    this.#dependencies = dependencies;
    const { maxConcurrentRuns: total, maxConcurrentRunsPerUser: perOwner } = dependencies.settings;
    this.#lanes = new Lanes({ total, perOwner });
    dependencies.quotas.onChanged(() => this.#room.freedForAll());
  }

  get draining(): boolean {
    return this.#drain.signal.aborted;
  }

  /** Nothing more is started; what runs in a guest goes on there. */
  drain(): void {
    this.#drain.abort(new CaissonError('DRAINING', 'The control plane is shutting down.'));
  }

  /**
   * For a new run, and for every run that is not over when the control plane starts. The place that it takes is counted
   * to the owner of its agent, whoever started it.
   */
  enqueue(run: Pick<Run, 'id' | 'conversationId'>, { ownerId }: Pick<Agent, 'ownerId'>): void {
    const { withinRun } = this.#dependencies;
    this.#lanes.submit({ key: run.conversationId, owner: ownerId }, () =>
      withinRun(run.id, () => this.#execute(run.id)),
    );
  }

  /** Passes on a cancellation that is already stored. A run that has not left the queue needs nothing more. */
  cancel(runId: RunId): void {
    this.#executions.get(runId)?.cancel();
    this.#room.recall(runId);
  }

  /** Gives up every execution of an agent that is deleted. */
  abandon(agentId: AgentId): void {
    for (const execution of this.#executions.values()) if (execution.agentId === agentId) execution.abandon();
  }

  /** A sandbox of this owner no longer runs: a run that waits for room may have it. */
  roomFreed(ownerId: UserId): void {
    this.#room.freed(ownerId);
  }

  /** As `roomFreed`, for the owner of this agent. */
  sandboxDown(agentId: AgentId): void {
    if (this.#room.isEmpty) return;
    const { store, logger } = this.#dependencies;
    store.findAgent(agentId).then(
      (agent) => agent && this.#room.freed(agent.ownerId),
      (err: unknown) => {
        logger.warn({ agentId, err }, 'it is not known whose sandbox has stopped; all that wait are called');
        this.#room.freedForAll();
      },
    );
  }

  /** Never rejects. A store that fails does not lose the run: it is taken up again from what is stored. */
  async #execute(runId: RunId): Promise<Parked | void> {
    const { clock, logger } = this.#dependencies;
    for (let retryMs = firstRetryMs; !this.draining; retryMs = Math.min(retryMs * 2, longestRetryMs)) {
      try {
        const parked = await this.#attempt(runId);
        if (parked === undefined) this.#room.leave(runId);
        return parked;
      } catch (thrown) {
        logger.error(
          { runId, code: toCaissonError(thrown).code, err: thrown },
          'a run is held up; it is taken up again',
        );
        await pause(clock, retryMs, this.#drain.signal).catch(() => undefined); // the loop sees that it drains
      }
    }
  }

  /** Rejects only with what the store threw. */
  async #attempt(runId: RunId): Promise<Parked | undefined> {
    const { store, logger } = this.#dependencies;
    const run = await store.findRun(runId);
    if (run === undefined || isTerminal(run.state)) return undefined;
    const execution = new Execution(run.agentId);
    this.#executions.set(runId, execution);
    try {
      return await this.#drive(run, execution);
    } catch (thrown) {
      // The run ended or its agent was deleted under it, or the control plane goes down: nothing is left to be done here.
      if (execution.signal.aborted || this.draining) return undefined;
      const error = toCaissonError(thrown);
      if (error.code === 'STORAGE_UNAVAILABLE') throw error;
      const present = await store.findRun(runId);
      if (present === undefined || isTerminal(present.state)) return undefined;
      const { agentId } = run;
      logger.error({ runId, agentId, code: error.code, err: error.cause ?? error }, 'a run could not be driven');
      await this.#end(run, { state: 'failed', reason: 'sandbox_unreachable', message: error.message });
      return undefined;
    } finally {
      this.#executions.delete(runId);
    }
  }

  /** Parked where it has to wait for room for its sandbox. */
  async #drive(run: Run, execution: Execution): Promise<Parked | undefined> {
    const { store, waiters, access, clock, sandboxes } = this.#dependencies;
    using stack = new DisposableStack();
    const settled = new AbortController();
    stack.defer(() => settled.abort(isSettled));
    const signal = AbortSignal.any([execution.signal, this.#drain.signal, settled.signal]);
    const over = waiters.ended(run, signal);
    over.catch(() => execution.abandon());

    const agent = await store.findAgent(run.agentId);
    if (agent === undefined || agent.deleting) return undefined;
    let fenced: Fenced | undefined;
    if (run.state === 'queued') {
      if (!(await access.mayRun(run.startedBy, agent))) {
        const message = 'Its sender may no longer use this agent.';
        await this.#end(run, { state: 'rejected', reason: 'access_revoked', message });
        return undefined;
      }
      const parked = await this.#awaitRoom(run, agent);
      if (parked !== undefined) return parked;
      // Where the guest is there already, the beginning of the run and its fence are one write.
      const begun = await this.#begin(run, sandboxes.currentGuest(agent.id));
      if (begun === 'over') return undefined;
      if (begun !== 'unfenced') fenced = begun;
    } else if (run.cancelRequested && run.incarnation === null) {
      await this.#end(run, { state: 'canceled', reason: 'canceled_by_user', message: null });
      return undefined;
    }
    const present = AbortSignal.any([signal, this.#overSignal(over)]);
    try {
      if (!(await this.#handOver({ run, agent, execution, fenced }, present))) return undefined;
    } catch (thrown) {
      // The room that there was has been taken by somebody else.
      const parked = isLackOfRoom(thrown) ? await this.#awaitRoom(run, agent) : undefined;
      if (parked === undefined) throw thrown;
      return parked;
    }
    this.#room.leave(run.id);

    stack.defer(
      clock.schedule(run.timeoutMs + unresponsiveAfterMs, () => {
        void sandboxes.stop(agent.id, 'The guest did not end a turn whose time was up.').catch((error: unknown) => {
          this.#dependencies.logger.error(
            { agentId: agent.id, err: error },
            'an unresponsive sandbox could not be stopped',
          );
        });
      }),
    );
    await over;
    return undefined;
  }

  /** Undefined when there is room for the sandbox of the run, or it does not wait for any. */
  async #awaitRoom(run: Run, agent: Agent): Promise<Parked | undefined> {
    const { store, quotas, room, sandboxes } = this.#dependencies;
    const isUp = agent.sandbox.state === 'starting' || agent.sandbox.state === 'running';
    if (run.whenBusy !== 'queue' || isUp || sandboxes.currentGuest(agent.id) !== undefined) return undefined;
    const { isFirst, called } = this.#room.enter(agent.ownerId, run.id);
    if (isFirst) await room.makeRoom(agent);
    const refusal = isFirst ? await sandboxRefusal(store, agent, await quotas.limitsOf(agent.ownerId)) : true;
    // It may have been canceled before it entered, when nobody could call it back.
    const present = await store.findRun(run.id);
    if (refusal === undefined || present === undefined || isTerminal(present.state) || present.cancelRequested) {
      return undefined;
    }
    return { until: called };
  }

  /** `queued` → `starting`, fenced to the guest if there is one and it is still the agent's present one. */
  async #begin(run: Run, guest: Guest | undefined): Promise<Fenced | 'unfenced' | 'over'> {
    const { log, clock } = this.#dependencies;
    return await log.write(run.agentId, async (tx, record) => {
      const isPresent = guest !== undefined && (await runsUnder(tx, run.agentId, guest.incarnation));
      const incarnation = isPresent ? guest.incarnation : null;
      if (!(await tx.moveRun(run.id, 'queued', { state: 'starting', incarnation }))) return 'over';
      await tx.spokenTo(run.agentId);
      record({ conversationId: run.conversationId, runId: run.id, at: clock.now(), data: { type: 'run.starting' } });
      return isPresent ? { guest, prompt: await findPrompt(tx, run) } : 'unfenced';
    });
  }

  /** Gives the prompt to the guest, once. Returns false when the run is over without it. */
  async #handOver({ run, agent, execution, fenced }: HandOver, signal: AbortSignal): Promise<boolean> {
    const { store, clock } = this.#dependencies;
    for (let known = fenced; ; known = undefined) {
      const guest = known?.guest ?? (await this.#fencedGuest(run, agent, execution, signal));
      if (guest === 'over') return false;
      // The fence is stored before the prompt leaves: whoever resumes this run knows which incarnation may have it.
      const prompt = known === undefined ? await findPrompt(store, run) : known.prompt;
      if (prompt === undefined) return false;
      const { conversation, message } = prompt;
      crashPoint('run-fenced');
      try {
        const taken = guest.startTurn(run.id, {
          session: sessionSpec(agent, conversation),
          content: [...message.content],
          timeoutMs: run.timeoutMs,
          idleTimeoutMs: this.#dependencies.settings.idleTimeoutMs,
          permissionTimeoutMs: this.#dependencies.settings.permissionTimeoutMs,
        });
        // The fence comes onto the disk meanwhile. A power cut that is faster than the disk is faster than the model as
        // well: the harness of that incarnation has done nothing, and the next one may have the prompt.
        await Promise.all([taken, store.flushed()]);
      } catch (thrown) {
        // A turn is idempotent by its run id within an incarnation, so asking again is safe; a new one fails the fence.
        if (!mayBeAskedAgain(thrown)) throw thrown;
        await pause(clock, firstRetryMs, signal);
        continue;
      }
      crashPoint('run-handed-over');
      execution.handedOver(() => this.#passOnCancel(run, agent, signal));
      if ((await store.findRun(run.id))?.cancelRequested === true) execution.cancel();
      return true;
    }
  }

  /** The guest that may have the prompt, or gets it. */
  async #fencedGuest(run: Run, agent: Agent, execution: Execution, signal: AbortSignal): Promise<Guest | 'over'> {
    for (;;) {
      const guest = await this.#guestFor(run, agent, execution, signal);
      if (guest === undefined) return 'over';
      switch (await this.#fence(run.id, run.agentId, guest)) {
        case 'fenced':
          return guest;
        case 'over':
          return 'over';
        case 'replaced':
          await pause(this.#dependencies.clock, firstRetryMs, signal);
      }
    }
  }

  /** Undefined when the run is over without a guest. */
  async #guestFor(run: Run, agent: Agent, execution: Execution, signal: AbortSignal): Promise<Guest | undefined> {
    const { sandboxes, store } = this.#dependencies;
    const waiting = AbortSignal.any([signal, execution.canceled]);
    // A prompt that may already be with a guest is never given to another: then nothing may be started for it.
    const mayBeUnderWay = (await store.findRun(run.id))?.incarnation != null;
    try {
      if (mayBeUnderWay) {
        signal.throwIfAborted();
        return await orAbort(sandboxes.reattach(agent), signal);
      }
      waiting.throwIfAborted();
      return await orAbort(sandboxes.ensureGuest(agent), waiting);
    } catch (thrown) {
      const error = toCaissonError(thrown);
      if (signal.aborted || error.code === 'STORAGE_UNAVAILABLE') throw thrown;
      if (run.whenBusy === 'queue' && isLackOfRoom(error) && !execution.canceled.aborted) throw thrown;
      await this.#end(run, endWithoutGuest(error, mayBeUnderWay, execution.canceled.aborted));
      return undefined;
    }
  }

  /** Ties the run to this incarnation, if it is the agent's present one. A run that is tied to another is interrupted. */
  async #fence(runId: RunId, agentId: AgentId, guest: Guest): Promise<'fenced' | 'replaced' | 'over'> {
    const { log, clock } = this.#dependencies;
    return await log.write(agentId, async (tx, record) => {
      const run = await tx.findRun(runId);
      if (run === undefined || isTerminal(run.state)) return 'over';
      if (run.incarnation === guest.incarnation) return 'fenced';
      if (run.incarnation !== null) {
        const now = clock.now();
        await recordingActivity({ tx, record, agentId, now }, async () => {
          const message = 'Its sandbox was replaced before it was known whether it had begun.';
          await endRun({ tx, record, at: now }, run, { state: 'interrupted', reason: 'sandbox_lost', message });
        });
        return 'over';
      }
      if (!(await runsUnder(tx, agentId, guest.incarnation))) return 'replaced';
      const { incarnation } = guest;
      return (await tx.moveRun(runId, 'starting', { state: 'starting', incarnation })) ? 'fenced' : 'over';
    });
  }

  async #passOnCancel(run: Run, agent: Agent, signal: AbortSignal): Promise<void> {
    const { sandboxes, logger, clock } = this.#dependencies;
    for (;;) {
      try {
        signal.throwIfAborted();
        const guest = await orAbort(sandboxes.reattach(agent), signal);
        await guest?.cancelTurn(run.id);
        return;
      } catch (thrown) {
        if (signal.aborted) return;
        if (!mayBeAskedAgain(thrown)) {
          logger.warn({ runId: run.id, err: thrown }, 'a cancellation did not reach the guest');
          return;
        }
      }
      await pause(clock, firstRetryMs, signal).catch(() => undefined); // the next round sees that it is aborted
    }
  }

  #overSignal(over: Promise<boolean>): AbortSignal {
    const controller = new AbortController();
    const abort = (): void => controller.abort(isOver);
    over.then(abort, abort);
    return controller.signal;
  }

  async #end(run: Run, end: RunEnd): Promise<void> {
    const { log, clock } = this.#dependencies;
    await log.write(run.agentId, async (tx, record) => {
      const present = await tx.findRun(run.id);
      if (present === undefined) return;
      const now = clock.now();
      await recordingActivity({ tx, record, agentId: run.agentId, now }, async () => {
        await endRun({ tx, record, at: now }, present, end);
      });
    });
  }
}

/** Whether the agent's sandbox is known to run under this incarnation right now. */
async function runsUnder(tx: AgentTransaction, agentId: AgentId, incarnation: IncarnationId): Promise<boolean> {
  const sandbox = (await tx.findAgent(agentId))?.sandbox;
  return sandbox?.state === 'running' && sandbox.incarnation === incarnation;
}

async function findPrompt(
  from: Pick<AgentTransaction, 'findConversation' | 'findMessage'>,
  run: Run,
): Promise<Prompt | undefined> {
  const conversation = await from.findConversation(run.conversationId);
  const message = await from.findMessage(run.messageId);
  return conversation && message && { conversation, message };
}

/** Of a kind that comes back by itself when another sandbox stops. */
function isLackOfRoom(thrown: unknown): boolean {
  const { code, details } = toCaissonError(thrown);
  return code === 'QUOTA_EXCEEDED' && ['running_sandboxes', 'cpu', 'memory'].includes(String(details['dimension']));
}

function mayBeAskedAgain(thrown: unknown): boolean {
  const { code } = toCaissonError(thrown);
  return code === 'WIRE_LOST' || code === 'DEADLINE_EXCEEDED';
}

function endWithoutGuest(error: CaissonError, mayBeUnderWay: boolean, canceled: boolean): RunEnd {
  const message = `${error.message} ${error.hint}`;
  if (mayBeUnderWay) return { state: 'interrupted', reason: 'sandbox_lost', message };
  if (canceled) return { state: 'canceled', reason: 'canceled_by_user', message: null };
  return { state: 'failed', reason: 'sandbox_start_failed', message };
}

/** What a guest is asked. */
interface Prompt {
  readonly conversation: Conversation;
  readonly message: Message;
}

/** The guest whose incarnation a run is stored with. */
interface Fenced {
  readonly guest: Guest;
  /** Undefined when it is gone, with its agent. */
  readonly prompt: Prompt | undefined;
}

/** A run on its way to a guest. */
interface HandOver {
  readonly run: Run;
  readonly agent: Agent;
  readonly execution: Execution;
  /** Where the run is stored with its guest already. */
  readonly fenced: Fenced | undefined;
}
