import type { Clock } from '../kernel/clock.ts';
import type { AgentId } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import type { Agent } from './agent.ts';
import { AgentService } from './agent-service.ts';
import { ConversationService } from './conversation-service.ts';
import { EventLog } from './event-log.ts';
import { JournalApplier, type SpentIn } from './journal-applier.ts';
import { AnsweredPermissions, PermissionService } from './permission-service.ts';
import type { Access, AgentStore, Quotas, SandboxObserver, Sandboxes } from './ports.ts';
import { RoomMaker } from './room-maker.ts';
import { endsRun } from './run-ending.ts';
import { RunExecutor, type WithinRun } from './run-executor.ts';
import { RunService } from './run-service.ts';
import { RunWaiters } from './run-waiters.ts';
import { StoringSandboxObserver } from './sandbox-observer.ts';
import type { DomainSettings } from './settings.ts';
import { UserWork } from './user-work.ts';

/** Everything that can be done with agents, without a word about transport, storage or vendor. */
export interface Domain {
  readonly agents: AgentService;
  readonly conversations: ConversationService;
  readonly runs: RunService;
  readonly events: Pick<EventLog, 'read' | 'subscribe' | 'onStored'>;
  readonly permissions: PermissionService;
  readonly userWork: UserWork;
  /**
   * Takes up what an earlier control plane left: queued runs start, those under way are followed, deletions go on.
   * Resolves when everything is taken up, not when it is done.
   */
  recover(): Promise<void>;
  /** No more runs are started. What runs in a sandbox goes on there. */
  drain(): void;
}

interface DomainParts {
  readonly store: AgentStore;
  readonly connectSandboxes: (observer: SandboxObserver) => Sandboxes;
  readonly access: Access;
  readonly quotas: Quotas;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly settings: DomainSettings;
  /** Default: no run has a budget. */
  readonly spentIn?: SpentIn;
  /** Does what belongs to a run, for whoever watches. Default: nobody does. */
  readonly withinRun?: WithinRun | undefined;
}

export function createDomain(parts: DomainParts): Domain {
  const { store, access, quotas, clock, logger, settings, withinRun = (_, work) => work() } = parts;
  const { spentIn = () => undefined } = parts;
  const log = new EventLog({ store, retention: settings.eventRetention, logger });
  const waiters = new RunWaiters();
  const answers = new AnsweredPermissions();
  const { permissionTimeoutMs } = settings;
  const applier = new JournalApplier({ log, clock, answers, permissionTimeoutMs, spentIn });
  const room = new RoomMaker({ store, quotas, sandboxes: () => sandboxes, logger, isOn: settings.sleepIdleSandboxes });
  const observer = new StoringSandboxObserver({ store, log, applier, clock, quotas, room });
  const sandboxes: Sandboxes = parts.connectSandboxes(observer);
  const executor = new RunExecutor({
    store,
    log,
    waiters,
    sandboxes,
    access,
    quotas,
    room,
    clock,
    logger,
    settings,
    withinRun,
  });
  const agents = new AgentService({ store, log, executor, waiters, sandboxes, clock, logger, quotas });
  const conversations = new ConversationService({ store, log, executor, sandboxes, clock, logger });
  const runs = new RunService({ store, log, executor, waiters, clock, quotas, room, settings });
  log.onStored((event) => {
    if (event.type === 'sandbox.status') {
      const { agentId, state, incarnation, message: reason } = event;
      logger.info({ agentId, state, incarnation, reason }, 'the state of a sandbox has changed');
      if (state === 'stopped' || state === 'failed') executor.sandboxDown(agentId);
    }
    if (!endsRun(event)) return;
    // The feed wakes the subscribers in an immediate of its own, before this one: they hear of the end before it is tidied up after.
    setImmediate(() => {
      waiters.runEnded(event.runId);
      const { agentId, conversationId: id } = event;
      if (id !== null) void conversations.runEnded({ agentId, id });
    });
  });
  return {
    agents,
    conversations,
    runs,
    events: log,
    permissions: new PermissionService({ store, sandboxes, answers }),
    userWork: new UserWork({ store, agents, runs, sandboxes, logger }),
    async recover() {
      await takeUpRuns(store, executor);
      for (const { id, deleting } of await store.listAgentIds()) {
        if (!deleting) continue;
        agents.delete(id).catch((error: unknown) => {
          logger.warn(
            { agentId: id, err: error },
            'a deletion could not be finished; it is tried again at the next start',
          );
        });
      }
    },
    drain: () => executor.drain(),
  };
}

/** What is under way in a guest comes first: it holds its place already. In its conversation it is the oldest anyway. */
async function takeUpRuns(store: AgentStore, executor: RunExecutor): Promise<void> {
  const active = await store.listActiveRuns();
  const waiting = active.filter(({ state }) => state === 'queued');
  const underWay = active.filter(({ state }) => state !== 'queued');
  const agents = new Map<AgentId, Agent | undefined>();
  for (const run of [...underWay, ...waiting]) {
    if (!agents.has(run.agentId)) agents.set(run.agentId, await store.findAgent(run.agentId));
    const agent = agents.get(run.agentId);
    if (agent !== undefined) executor.enqueue(run, agent); // else it was deleted meanwhile, and its runs with it
  }
}
