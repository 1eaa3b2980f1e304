import type { RequestPermissionRequest, RequestPermissionResponse } from '@agentclientprotocol/sdk/unstable';
import type { Clock } from '../kernel/clock.ts';
import { CaissonError, errorText } from '../kernel/errors.ts';
import type { RunId } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import { EndedRuns } from './ended-runs.ts';
import type { Harness, HarnessSink } from './harness.ts';
import { startHarnessProcess } from './harness-process.ts';
import { harnessCommandVariable, launchProfile } from './launch-profiles.ts';
import { PermissionDesk } from './permissions.ts';
import { ProcessHost } from './process-host.ts';
import { promptBlocks } from './prompt-blocks.ts';
import { readJson } from './projection/updates.ts';
import { SessionRegistry } from './session-registry.ts';
import { Turn } from './turn.ts';
import { canceledOutcome, exitedOutcome } from './turn-outcome.ts';

export interface CreateHarnessOptions {
  /** The name of a launch profile. */
  readonly profile: string;
  /** The model that the harness starts with; null: its own default. */
  readonly model: string | null;
  /** The whole environment of the program, to which the profile adds. */
  readonly environment: Readonly<Record<string, string>>;
  readonly sink: HarnessSink;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * A harness that is not yet started.
 *
 * @throws CONFIG_INVALID for a profile that there is not.
 */
export function createHarness({ model, sink, clock, logger, ...options }: CreateHarnessOptions): Harness {
  const { [harnessCommandVariable]: _, ...environment } = options.environment;
  const profile = launchProfile(options.profile, options.environment);
  const desk = new PermissionDesk(clock);
  const endedRuns = new EndedRuns();
  const activeTurns = new Map<RunId, Turn>();

  const askPermission = (
    request: RequestPermissionRequest,
    signal: AbortSignal,
  ): Promise<RequestPermissionResponse> => {
    const session = registry.byHarnessId(request.sessionId);
    if (session?.turn?.liveRunId != null) return session.turn.askPermission(request, signal);
    logger.warn({ sessionId: request.sessionId }, 'refused a permission request outside of a turn');
    const update = readJson(request);
    session?.record([{ type: 'harness.other', sessionUpdate: 'session/request_permission', update }], null);
    return Promise.resolve({ outcome: { outcome: 'cancelled' } });
  };

  const host = new ProcessHost({
    launch: (signal) =>
      startHarnessProcess({
        name: profile.name,
        command: profile.command,
        environment: { ...environment, ...profile.environment({ model }) },
        clock,
        logger,
        signal,
        room: () => sink.room(),
        onUpdate: (params) => registry.deliver(params),
        onPermissionRequest: askPermission,
      }),
    onStarted: ({ version }) => sink.append({ type: 'harness.started', harness: profile.name, version }),
    onExited: (_process, exit) => sink.append({ type: 'harness.exited', ...exit }),
  });
  const registry = new SessionRegistry({
    host,
    sink,
    clock,
    logger,
    launchModel: model,
    unnamedChunks: profile.unnamedChunks,
    modes: profile.modes,
  });

  const turnStatus: Harness['turnStatus'] = (runId) => {
    if (activeTurns.has(runId)) return { runId, state: 'active' };
    return { runId, state: endedRuns.has(runId) ? 'ended' : 'unknown' };
  };

  return {
    name: profile.name,
    get state() {
      return host.state;
    },
    get pid() {
      return host.pid;
    },

    async start() {
      await host.need().catch(rethrow);
    },

    async openSession(spec) {
      await registry.open(spec).catch(rethrow);
    },

    async closeSession(conversationId) {
      const session = registry.of(conversationId);
      const { turn } = session;
      turn?.stop(canceledOutcome('canceled_by_user'));
      await turn?.ended;
      await registry.remove(session);
    },

    startTurn(runId, request) {
      const known = turnStatus(runId);
      if (known.state !== 'unknown') return known;
      const prompt = promptBlocks(request.content, profile);
      const session = registry.of(request.session.conversationId);
      if (session.turn !== null) {
        throw new CaissonError('INTERNAL', `${runId} may not start: ${session.turn.runId} runs in its conversation.`);
      }
      const turn = new Turn({ runId, request, prompt, session, registry, desk, sink, clock });
      session.turn = turn;
      activeTurns.set(runId, turn);
      void turn.ended.then(() => {
        activeTurns.delete(runId);
        endedRuns.add(runId);
      });
      void turn.run();
      return { runId, state: 'active' };
    },

    turnStatus,

    cancelTurn(runId) {
      activeTurns.get(runId)?.stop(canceledOutcome('canceled_by_user'));
      return turnStatus(runId);
    },

    answerPermission: (permissionId, answer) => desk.answer(permissionId, answer),

    async stop() {
      const gone = exitedOutcome({ exitCode: null, signal: null, stderr: '' });
      const turns = [...activeTurns.values()];
      for (const turn of turns) if (turn.liveRunId === null) turn.stop(gone);
      await host.stop();
      await Promise.all(turns.map((turn) => turn.ended));
    },
  };
}

function rethrow(error: unknown): never {
  if (error instanceof CaissonError) throw error;
  throw new CaissonError('HARNESS_FAILED', `The harness failed: ${errorText(error)}`, { cause: error });
}
