import type { Clock } from '../kernel/clock.ts';
import { CaissonError } from '../kernel/errors.ts';
import type { AgentId, IncarnationId } from '../kernel/ids.ts';
import type { JournalEntry } from '../wire/contract/journal-entry.ts';
import { recordingActivity } from './activity.ts';
import type { Agent, SandboxStatus } from './agent.ts';
import type { EventLog, Record } from './event-log.ts';
import type { JournalApplier } from './journal-applier.ts';
import { requireSandboxRoom } from './owner-room.ts';
import type { AgentStore, AgentTransaction, Attachment, Quotas, SandboxObserver } from './ports.ts';
import type { RoomMaker } from './room-maker.ts';
import { endRun } from './run-ending.ts';

/** Nothing was tried, and nothing is broken: it is left for later. */
const isLackOfRoom: ReadonlySet<string> = new Set(['QUOTA_EXCEEDED', 'HOST_DISK_FULL']);

interface ObserverDependencies {
  readonly store: AgentStore;
  readonly log: EventLog;
  readonly applier: JournalApplier;
  readonly clock: Clock;
  readonly quotas: Quotas;
  readonly room: RoomMaker;
}

/** Stores what happens to sandboxes, and ends what they took with them. */
export class StoringSandboxObserver implements SandboxObserver {
  readonly #store: Pick<AgentStore, 'flushed' | 'findAgent'>;
  readonly #log: EventLog;
  readonly #applier: JournalApplier;
  readonly #clock: Clock;
  readonly #quotas: Quotas;
  readonly #room: RoomMaker;

  constructor(dependencies: ObserverDependencies) {
    this.#store = dependencies.store;
    this.#log = dependencies.log;
    this.#applier = dependencies.applier;
    this.#clock = dependencies.clock;
    this.#quotas = dependencies.quotas;
    this.#room = dependencies.room;
  }

  async applyJournal(agentId: AgentId, incarnation: IncarnationId, entries: readonly JournalEntry[]): Promise<void> {
    await this.#applier.apply(agentId, incarnation, entries);
  }

  async flushed(): Promise<void> {
    await this.#store.flushed();
  }

  async sandboxStarting(agentId: AgentId): Promise<boolean> {
    const known = await this.#store.findAgent(agentId);
    if (known === undefined || known.deleting) return false;
    try {
      const refusal = await this.#quotas.refusalForStart();
      if (refusal !== undefined) throw refusal;
      return await this.#takeRoom(known);
    } catch (thrown) {
      if (thrown instanceof CaissonError && isLackOfRoom.has(thrown.code)) await this.#refused(agentId, thrown);
      throw thrown;
    }
  }

  async #takeRoom({ id: agentId, ...of }: Agent): Promise<boolean> {
    const limits = await this.#quotas.limitsOf(of.ownerId);
    const minute = await this.#quotas.holdMinute({ id: agentId, ...of });
    let mayStart = false;
    try {
      await this.#room.makeRoom({ id: agentId, ...of });
      mayStart = await this.#log.write(agentId, async (tx, record) => {
        const agent = await tx.findAgent(agentId);
        if (agent === undefined || agent.deleting) return false;
        await requireSandboxRoom(tx, agent, limits);
        await this.#setStatus({ tx, record, agentId }, { state: 'starting' });
        return true;
      });
    } finally {
      await (mayStart ? minute.keep() : minute.giveBack());
    }
    return mayStart;
  }

  /** One that was to start, as a new agent's is, holds no room any more. */
  async #refused(agentId: AgentId, { message: reason }: CaissonError): Promise<void> {
    await this.#log.write(agentId, async (tx, record) => {
      const agent = await tx.findAgent(agentId);
      if (agent?.sandbox.state === 'starting')
        await this.#setStatus({ tx, record, agentId }, { state: 'stopped', reason });
    });
  }

  async sandboxAttached(agentId: AgentId, incarnation: IncarnationId): Promise<Attachment> {
    return await this.#log.write(agentId, async (tx, record) => {
      const agent = await tx.findAgent(agentId);
      if (agent === undefined) throw new CaissonError('AGENT_NOT_FOUND', `There is no agent ${agentId}.`);
      const known = agent.sandbox.state === 'running' && agent.sandbox.incarnation === incarnation;
      if (!known) {
        await this.#interrupt({ tx, record, agentId }, incarnation);
        await this.#setStatus({ tx, record, agentId }, { state: 'running', incarnation });
      }
      return {
        journalPosition: await tx.journalPosition(agentId, incarnation),
        leaseEpoch: await tx.nextLeaseEpoch(agentId),
      };
    });
  }

  async sandboxLost(agentId: AgentId, reason: string): Promise<void> {
    await this.#log.write(agentId, async (tx, record) => {
      const agent = await tx.findAgent(agentId);
      if (agent === undefined) return;
      await this.#interrupt({ tx, record, agentId }, null);
      if (agent.sandbox.state !== 'stopped')
        await this.#setStatus({ tx, record, agentId }, { state: 'stopped', reason });
    });
  }

  async sandboxFailed(agentId: AgentId, failure: { code: string; message: string }): Promise<void> {
    await this.#log.write(agentId, async (tx, record) => {
      if ((await tx.findAgent(agentId)) === undefined) return;
      await this.#setStatus({ tx, record, agentId }, { state: 'failed', ...failure });
    });
  }

  async #setStatus(scope: Scope, status: SandboxStatus): Promise<void> {
    const now = this.#clock.now();
    await recordingActivity({ ...scope, now }, async () => {
      await scope.tx.setSandboxStatus(scope.agentId, status);
      scope.record({
        conversationId: null,
        runId: null,
        at: now,
        data: {
          type: 'sandbox.status',
          state: status.state,
          incarnation: status.state === 'running' ? status.incarnation : null,
          message: messageOf(status),
        },
      });
    });
  }

  /** Ends every run and every question that was under way in another incarnation than `survivor`. */
  async #interrupt(scope: Scope, survivor: IncarnationId | null): Promise<void> {
    const { tx, record, agentId } = scope;
    const now = this.#clock.now();
    await recordingActivity({ ...scope, now }, async () => {
      for (const permission of await tx.listPendingPermissions(agentId)) {
        if (permission.incarnation === survivor) continue;
        const { id: permissionId, conversationId, runId } = permission;
        const resolution = { outcome: 'canceled', optionId: null, resolvedBy: null } as const;
        await tx.resolvePermission(permissionId, { ...resolution, resolvedAt: now });
        record({ conversationId, runId, at: now, data: { type: 'permission.resolved', permissionId, ...resolution } });
      }
      for (const run of await tx.listActiveRuns({ agentId })) {
        if (run.incarnation === null || run.incarnation === survivor) continue;
        const message = 'Its sandbox went away while it was under way. What it had done so far is in the workspace.';
        await endRun({ tx, record, at: now }, run, { state: 'interrupted', reason: 'sandbox_lost', message });
      }
    });
  }
}

interface Scope {
  readonly tx: AgentTransaction;
  readonly record: Record;
  readonly agentId: AgentId;
}

function messageOf(status: SandboxStatus): string | null {
  switch (status.state) {
    case 'stopped':
      return status.reason;
    case 'failed':
      return status.message;
    case 'starting':
    case 'running':
      return null;
  }
}
