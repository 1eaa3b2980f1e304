import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Agent } from '../../src/agents/agent.ts';
import { createDomain, type Domain } from '../../src/agents/domain.ts';
import type { Guest, HeldMinute, OwnerLimits, Quotas, SandboxObserver, Sandboxes } from '../../src/agents/ports.ts';
import type { DomainSettings } from '../../src/agents/settings.ts';
import { openStorage, type Storage } from '../../src/controlplane/storage/open-storage.ts';
import { type Clock, systemClock } from '../../src/kernel/clock.ts';
import { CaissonError } from '../../src/kernel/errors.ts';
import { type AgentId, type IncarnationId, newIncarnationId, newUserId, type RunId } from '../../src/kernel/ids.ts';
import { silentLogger } from '../../src/kernel/logger.ts';
import type { PermissionAnswer } from '../../src/wire/contract/guest-api.ts';
import type { JournalBody } from '../../src/wire/contract/journal-entry.ts';
import type { TurnRequest, TurnStatus } from '../../src/wire/contract/turn.ts';

/** A guest in memory, driven by the test: it does nothing until it is told to. A double of the port, not of a machine. */
export class ScriptedGuest implements Guest {
  readonly incarnation: IncarnationId = newIncarnationId();
  readonly turns = new Map<RunId, TurnRequest>();
  readonly canceled: RunId[] = [];
  readonly answers: PermissionAnswer[] = [];
  /** How many of the next calls of `startTurn` lose their answer although the turn was taken. */
  loseAnswers = 0;
  readonly #observer: SandboxObserver;
  readonly #agentId: AgentId;
  #seq = 0;

  constructor(observer: SandboxObserver, agentId: AgentId) {
    this.#observer = observer;
    this.#agentId = agentId;
  }

  async say(...bodies: readonly JournalBody[]): Promise<void> {
    const entries = bodies.map((body) => ({ seq: ++this.#seq, at: Date.now(), body }));
    await this.#observer.applyJournal(this.#agentId, this.incarnation, entries);
  }

  async openSession(): Promise<void> {}

  async closeSession(): Promise<void> {}

  async startTurn(runId: RunId, request: TurnRequest): Promise<TurnStatus> {
    this.turns.set(runId, request);
    if (this.loseAnswers > 0) {
      this.loseAnswers--;
      throw new CaissonError('WIRE_LOST', 'The answer was lost.');
    }
    return { runId, state: 'active' };
  }

  async turnStatus(runId: RunId): Promise<TurnStatus> {
    return { runId, state: this.turns.has(runId) ? 'active' : 'unknown' };
  }

  async cancelTurn(runId: RunId): Promise<TurnStatus> {
    this.canceled.push(runId);
    return { runId, state: 'active' };
  }

  async answerPermission(_id: unknown, answer: PermissionAnswer): Promise<void> {
    this.answers.push(answer);
  }
}

/** Sandboxes in memory: each agent has at most one guest, made on first need. */
export class ScriptedSandboxes implements Sandboxes {
  readonly guests = new Map<AgentId, ScriptedGuest>();
  readonly observer: SandboxObserver;
  /** Set to make the next starts fail. */
  startError: CaissonError | undefined;
  /** Whether a start is told first, as the fleet does: it can then be refused. */
  tellsStarts = false;

  constructor(observer: SandboxObserver) {
    this.observer = observer;
  }

  async ensureGuest(agent: Agent): Promise<ScriptedGuest> {
    const present = this.guests.get(agent.id);
    if (present !== undefined) return present;
    if (this.startError !== undefined) throw this.startError;
    if (this.tellsStarts && !(await this.observer.sandboxStarting(agent.id))) {
      throw new CaissonError('AGENT_DELETING', 'It is being deleted.');
    }
    const guest = new ScriptedGuest(this.observer, agent.id);
    this.guests.set(agent.id, guest);
    await this.observer.sandboxAttached(agent.id, guest.incarnation);
    return guest;
  }

  currentGuest(agentId: AgentId): ScriptedGuest | undefined {
    return this.guests.get(agentId);
  }

  async reattach(agent: Agent): Promise<ScriptedGuest | undefined> {
    const guest = this.guests.get(agent.id);
    if (guest === undefined) await this.observer.sandboxLost(agent.id, 'not running');
    return guest;
  }

  /** Agents in whose sandboxes a program runs. */
  readonly busy = new Set<AgentId>();

  async isIdle(agentId: AgentId): Promise<boolean> {
    return this.guests.has(agentId) && !this.busy.has(agentId);
  }

  async stop(agentId: AgentId, reason: string): Promise<void> {
    this.guests.delete(agentId);
    await this.observer.sandboxLost(agentId, reason);
  }

  async destroy(agent: Agent): Promise<void> {
    this.guests.delete(agent.id);
  }
}

export const settings: DomainSettings = {
  runTimeoutMs: 600_000,
  idleTimeoutMs: 600_000,
  permissionTimeoutMs: 600_000,
  maxMessageBytes: 10_000,
  maxConcurrentRuns: 4,
  maxConcurrentRunsPerUser: 4,
  queueLimit: 3,
  sleepIdleSandboxes: false,
  eventRetention: { events: 100_000, bytes: 256e6 },
};

/** Limits that a test sets. */
export class FixedQuotas implements Quotas {
  limits: OwnerLimits = {
    agents: 2,
    runningSandboxes: null,
    cpus: null,
    memoryBytes: null,
    messageBytes: null,
    historyBytes: null,
  };
  /** Set to refuse runs, and starts of sandboxes. */
  refusal: CaissonError | undefined;
  /** Set to refuse starts of sandboxes, whoever's. */
  startRefusal: CaissonError | undefined;
  /** Minutes that were kept. */
  minutes = 0;
  readonly #listeners = new Set<() => void>();

  async limitsOf(): Promise<OwnerLimits> {
    return this.limits;
  }

  async refusalForRun(): Promise<CaissonError | undefined> {
    return this.refusal;
  }

  async refusalForAgent(): Promise<CaissonError | undefined> {
    return undefined;
  }

  async refusalForStart(): Promise<CaissonError | undefined> {
    return this.startRefusal;
  }

  async holdMinute(): Promise<HeldMinute> {
    if (this.refusal !== undefined) throw this.refusal;
    return { keep: async () => void this.minutes++, giveBack: async () => undefined };
  }

  onChanged(listener: () => void): void {
    this.#listeners.add(listener);
  }

  change(limits: Partial<OwnerLimits>): void {
    this.limits = { ...this.limits, ...limits };
    for (const listener of this.#listeners) listener();
  }
}

/** The system's clock, with timers that a test can bring forward. */
class SkippingClock implements Clock {
  readonly #timers = new Set<{ readonly at: number; readonly fire: () => void }>();

  now(): number {
    return systemClock.now();
  }

  elapsed(): number {
    return systemClock.elapsed();
  }

  schedule(delayMs: number, callback: () => void): () => void {
    const cancel = systemClock.schedule(delayMs, () => timer.fire());
    const timer = {
      at: this.elapsed() + delayMs,
      fire: () => {
        cancel();
        if (this.#timers.delete(timer)) callback();
      },
    };
    this.#timers.add(timer);
    return () => {
      cancel();
      this.#timers.delete(timer);
    };
  }

  /** Fires what is due within `ms`. */
  advance(ms: number): void {
    for (const timer of this.#timers) if (timer.at <= this.elapsed() + ms) timer.fire();
  }
}

export interface DomainFixture extends AsyncDisposable {
  readonly clock: SkippingClock;
  readonly domain: Domain;
  readonly storage: Storage;
  readonly sandboxes: ScriptedSandboxes;
  readonly quotas: FixedQuotas;
  readonly userId: ReturnType<typeof newUserId>;
  newAgent(name?: string): Promise<Agent>;
}

/** A domain on a real store in a directory of its own, with scripted sandboxes. */
export async function openDomain(
  overrides: Partial<DomainSettings> & { mayRun?: () => boolean } = {},
): Promise<DomainFixture> {
  const { mayRun = () => true, ...changed } = overrides;
  const directory = await mkdtemp(join(tmpdir(), 'caisson-domain-'));
  const storage = await openStorage(directory);
  const clock = new SkippingClock();
  const quotas = new FixedQuotas();
  let sandboxes: ScriptedSandboxes | undefined;
  const domain = createDomain({
    store: storage.agents,
    connectSandboxes: (observer) => (sandboxes = new ScriptedSandboxes(observer)),
    access: { mayRun: async () => mayRun() },
    quotas,
    clock,
    logger: silentLogger,
    settings: { ...settings, ...changed },
  });
  if (sandboxes === undefined) throw new Error('the domain did not connect its sandboxes');
  const userId = newUserId();
  await storage.identities.insertUser({ id: userId, name: 'someone', role: 'member', createdAt: 0, disabledAt: null });
  return {
    clock,
    domain,
    storage,
    sandboxes,
    quotas,
    userId,
    newAgent: async (name = 'worker') =>
      await domain.agents.create({
        ownerId: userId,
        name,
        harness: 'codex',
        model: null,
        provider: 'scripted',
        limits: { cpus: 1, memoryBytes: 1 << 30, pids: 100 },
      }),
    async [Symbol.asyncDispose]() {
      domain.drain();
      await storage.close();
      await rm(directory, { recursive: true });
    },
  };
}

export const text = (value: string) => [{ type: 'text', text: value } as const];
