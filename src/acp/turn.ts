import {
  methods,
  type PromptResponse,
  type RequestPermissionRequest,
  type RequestPermissionResponse,
} from '@agentclientprotocol/sdk/unstable';
import type { Clock } from '../kernel/clock.ts';
import type { RunId } from '../kernel/ids.ts';
import type { TurnOutcome, TurnRequest } from '../wire/contract/turn.ts';
import type { ConversationSession } from './conversation-session.ts';
import type { HarnessSink } from './harness.ts';
import type { HarnessProcess } from './harness-process.ts';
import { IdleWatch } from './idle-watch.ts';
import type { PermissionDesk } from './permissions.ts';
import type { AcpBlock } from './prompt-blocks.ts';
import type { SessionRegistry } from './session-registry.ts';
import {
  exitedOutcome,
  outcomeOfError,
  outcomeOfOpening,
  outcomeOfResponse,
  type PermissionEnd,
} from './turn-outcome.ts';

/** How long a harness may take to end a prompt that was canceled before it is killed. codex-acp needs about 20 ms. */
const cancelGraceMs = 5_000;

type TurnState =
  /** The session is being opened; nothing has been asked yet. */
  | { readonly phase: 'opening' }
  | { readonly phase: 'prompting'; readonly process: HarnessProcess }
  /** The harness was asked to end the prompt; the first reason to do so counts. */
  | { readonly phase: 'stopping'; readonly process: HarnessProcess; readonly outcome: TurnOutcome }
  /** The prompt is over; the commands that it left running are being ended. */
  | { readonly phase: 'closing' }
  | { readonly phase: 'ended' };

export interface TurnOptions {
  readonly runId: RunId;
  readonly request: TurnRequest;
  readonly prompt: AcpBlock[];
  readonly session: ConversationSession;
  readonly registry: SessionRegistry;
  readonly desk: PermissionDesk;
  readonly sink: HarnessSink;
  readonly clock: Clock;
}

/**
 * One prompt of one conversation:
 *
 *     opening ──session open──> prompting ──answered──────────────────────────> ended
 *        │                          │ stop
 *        │ stop                 stopping ──answered──> closing ──commands end──> ended
 *        └────────────────────> ended  └──no answer in 5 s──> harness killed ──> ended
 *
 * `run` writes exactly one `turn.ended`, as the last word of the turn, whatever the harness does.
 */
export class Turn {
  readonly runId: RunId;
  readonly #options: TurnOptions;
  readonly #ended = Promise.withResolvers<void>();
  #state: TurnState = { phase: 'opening' };
  #idle: IdleWatch | null = null;
  #permissionEnd: PermissionEnd | null = null;

  constructor(options: TurnOptions) {
    this.runId = options.runId;
    this.#options = options;
  }

  /** The run that the harness's updates belong to; null while nothing has been asked. */
  get liveRunId(): RunId | null {
    return this.#state.phase === 'opening' || this.#state.phase === 'ended' ? null : this.runId;
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** The harness did something. */
  touch(): void {
    this.#idle?.touch();
  }

  /** Runs the turn to its end. Never rejects. Called once. */
  async run(): Promise<void> {
    const { request, registry, clock } = this.#options;
    const cancelTimeout = clock.schedule(request.timeoutMs, () =>
      this.stop(timedOut('run_timeout', request.timeoutMs)),
    );
    void this.ended.then(cancelTimeout);
    let process: HarnessProcess;
    try {
      process = await registry.open(request.session);
    } catch (error) {
      if (this.#state.phase === 'opening') this.#end(outcomeOfOpening(error));
      return;
    }
    if (this.#state.phase !== 'opening') return;
    const outcome = await this.#prompt(process);
    await this.#promptEnded(outcome);
  }

  /** Ends the turn with this outcome, unless it is ending already. The turn is over within 10 s. */
  stop(outcome: TurnOutcome): void {
    const { session, desk, runId, clock } = this.#options;
    if (this.#state.phase === 'opening') return this.#end(outcome);
    if (this.#state.phase !== 'prompting') return;
    const { process } = this.#state;
    this.#state = { phase: 'stopping', process, outcome };
    this.#idle?.[Symbol.dispose]();
    session.projection.stopTurn();
    desk.cancelRun(runId);
    const cancelKill = clock.schedule(cancelGraceMs, () => {
      if (this.#state.phase === 'stopping') process.kill('it did not end a turn that was canceled');
    });
    void this.ended.then(cancelKill);
    // Fails only when the connection is lost, which the prompt sees as well.
    process.agent.notify(methods.agent.session.cancel, { sessionId: session.sessionId ?? '' }).catch(() => undefined);
  }

  /** Puts a permission request of the harness to the people; refuses it where the turn is not under way. */
  askPermission(request: RequestPermissionRequest, signal: AbortSignal): Promise<RequestPermissionResponse> {
    const { session, desk, runId } = this.#options;
    const { toolCallId } = request.toolCall;
    if (this.#state.phase !== 'prompting') {
      session.projection.permissionEnded(toolCallId, 'canceled');
      return Promise.resolve({ outcome: { outcome: 'cancelled' } });
    }
    return desk.ask(
      request,
      {
        runId,
        timeoutMs: this.#options.request.permissionTimeoutMs,
        emit: (event) => session.record([event], runId),
        knownTool: (toolCallId) => session.projection.knownTool(toolCallId),
        onResolved: (outcome) => {
          this.touch();
          session.projection.permissionEnded(toolCallId, outcome);
          if (outcome === 'allowed') this.#permissionEnd = null;
          if (outcome === 'rejected') this.#permissionEnd = 'permission_rejected';
          if (outcome === 'expired') this.#permissionEnd = 'permission_expired';
        },
      },
      signal,
    );
  }

  async #prompt(process: HarnessProcess): Promise<TurnOutcome> {
    const { session, sink, prompt, runId, request, desk, clock } = this.#options;
    const { conversationId, projection } = session;
    session.record(projection.beginTurn(), null);
    this.#state = { phase: 'prompting', process };
    sink.append({ type: 'turn.started', runId, conversationId });
    const isExcused = (): boolean => projection.openTools > 0 || desk.isAsking(runId) || process.isHeld;
    this.#idle = new IdleWatch(clock, request.idleTimeoutMs, isExcused, () =>
      this.stop(timedOut('harness_idle', request.idleTimeoutMs)),
    );
    try {
      const response = await process.agent.request<PromptResponse, { sessionId: string | null; prompt: AcpBlock[] }>(
        methods.agent.session.prompt,
        { sessionId: session.sessionId, prompt },
      );
      const evidence = { failure: projection.failure, permissionEnd: this.#permissionEnd };
      const outcome = outcomeOfResponse(response, evidence);
      // A harness that is being stopped cancels its turns first.
      return process.isEnding && outcome.state === 'canceled' ? exitedOutcome(await process.exited) : outcome;
    } catch (error) {
      if (process.isEnding) return exitedOutcome(await process.exited);
      return outcomeOfError(error, { failure: projection.failure, permissionEnd: this.#permissionEnd });
    }
  }

  async #promptEnded(outcome: TurnOutcome): Promise<void> {
    const { session, registry } = this.#options;
    const state = this.#state;
    if (state.phase !== 'stopping') return this.#end(outcome);
    this.#state = { phase: 'closing' };
    await registry.suspend(session);
    // Work that was done before the harness heard of the cancellation is done; a deadline that has passed has passed.
    const isDone = outcome.state === 'completed' && state.outcome.state === 'canceled';
    this.#end(isDone ? outcome : state.outcome);
  }

  #end(outcome: TurnOutcome): void {
    const { session, desk, sink, runId } = this.#options;
    const hadStarted = this.#state.phase !== 'opening';
    this.#idle?.[Symbol.dispose]();
    desk.cancelRun(runId);
    if (hadStarted) session.record(session.projection.endTurn(outcome.state), runId);
    this.#state = { phase: 'ended' };
    if (outcome.state === 'failed' && outcome.reason === 'session_lost') session.process = null;
    session.turn = null;
    sink.append({ type: 'turn.ended', runId, conversationId: session.conversationId, outcome });
    this.#ended.resolve();
  }
}

function timedOut(reason: 'run_timeout' | 'harness_idle', timeoutMs: number): TurnOutcome {
  const seconds = timeoutMs / 1_000;
  const message =
    reason === 'run_timeout' ? `The turn took longer than ${seconds} s.` : `The harness was silent for ${seconds} s.`;
  return { state: 'timed_out', reason, message };
}
