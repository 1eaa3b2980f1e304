import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Agent, Conversation } from '../../../src/agents/agent.ts';
import { createDomain, type Domain } from '../../../src/agents/domain.ts';
import type { SandboxObserver } from '../../../src/agents/ports.ts';
import { Fleet } from '../../../src/controlplane/fleet/fleet.ts';
import { openStorage, type Storage } from '../../../src/controlplane/storage/open-storage.ts';
import { startGuest, type Guest } from '../../../src/guest/guest.ts';
import { type Clock, systemClock } from '../../../src/kernel/clock.ts';
import type { ErrorCode } from '../../../src/kernel/error-table.ts';
import { CaissonError } from '../../../src/kernel/errors.ts';
import { type AgentId, newUserId, type RunId } from '../../../src/kernel/ids.ts';
import { type Logger, silentLogger } from '../../../src/kernel/logger.ts';
import type {
  DiskSpace,
  DiskUse,
  Sandbox,
  SandboxEnd,
  SandboxLoad,
  SandboxProvider,
  SandboxSpec,
  WireChannel,
} from '../../../src/sandbox-providers/contract/index.ts';
import { FixedQuotas, settings, text } from '../../agents/domain-fixture.ts';
import { FakeHarness } from '../../guest/fake-harness.ts';
import { makeRoots } from '../../guest/running-guest.ts';
import { until } from '../../until.ts';

interface RunningGuest {
  readonly guest: Guest;
  readonly directory: string;
  readonly harness: FakeHarness;
  /** Those that stand for /workspace, the home and /tmp. */
  readonly roots: readonly [workspace: string, home: string, temporary: string];
}

/** Sandboxes that are real guests in this process, behind real sockets; only the harness and the walls are missing. */
export class InProcessProvider implements SandboxProvider {
  readonly name = 'in-process';
  readonly capabilities = { pause: false, limits: true, sealedNetwork: true, disk: true };
  readonly running = new Map<AgentId, RunningGuest>();
  readonly sockets: { readonly channel: string; readonly socket: Socket }[] = [];
  readonly stopped: AgentId[] = [];
  connects = 0;
  /** What the engine answers everything with. */
  fault: CaissonError | undefined;
  /** Whether no guest can be connected to. */
  isDeaf = false;
  /** How those that do not run any more ended. */
  readonly ended = new Map<AgentId, SandboxEnd>();
  /** What the disk of a sandbox is said to take; nothing where it is not said. */
  readonly diskBytes = new Map<AgentId, number>();
  /** What keeps disks from being measured. */
  measureFault: CaissonError | undefined;
  /** What is said to be left on the disk of all. */
  freeBytes = 1024 ** 4;
  inodes: DiskSpace['inodes'] = null;
  /** Awaited in the middle of a stop. */
  beforeStop: () => Promise<void> = async () => undefined;

  async check() {
    return { description: 'guests in this process' };
  }

  async ensureRunning({ agentId }: SandboxSpec): Promise<Sandbox> {
    if (!this.running.has(agentId)) {
      const directory = await mkdtemp(join(tmpdir(), 'caisson-guest-'));
      const roots = await makeRoots(directory);
      let harness: FakeHarness | undefined;
      const guest = await startGuest({
        agentId,
        runDirectory: directory,
        modelPort: 0,
        proxyPorts: { http: 0, socks: 0 },
        roots,
        watchPorts: false,
        version: () => 'test',
        createHarness: (sink) => (harness = new FakeHarness(sink)),
        clock: systemClock,
        logger: silentLogger,
      });
      if (harness === undefined) throw new Error('the guest made no harness');
      this.running.set(agentId, { guest, directory, harness, roots });
    }
    return sandboxOf(agentId);
  }

  async find(agentId: AgentId): Promise<Sandbox | undefined> {
    if (this.fault !== undefined) throw this.fault;
    if (this.running.has(agentId)) return sandboxOf(agentId);
    const ended = this.ended.get(agentId);
    return ended && { ...sandboxOf(agentId), state: 'stopped', ended };
  }

  async list(): Promise<readonly Sandbox[]> {
    return [...this.running.keys()].map(sandboxOf);
  }

  async stop(agentId: AgentId): Promise<void> {
    this.stopped.push(agentId);
    await this.beforeStop();
    await this.end(agentId);
  }

  /** Ends a sandbox as something outside would. */
  async end(agentId: AgentId, ended?: SandboxEnd): Promise<void> {
    if (ended !== undefined) this.ended.set(agentId, ended);
    const running = this.running.get(agentId);
    this.running.delete(agentId);
    await running?.guest.stop();
    if (running !== undefined) await rm(running.directory, { recursive: true, force: true });
  }

  async pause(): Promise<void> {}

  async resume(): Promise<void> {}

  async destroy(agentId: AgentId): Promise<void> {
    await this.stop(agentId);
  }

  async measureDisk(agentId: AgentId): Promise<DiskUse> {
    if (this.measureFault !== undefined) throw this.measureFault;
    return { method: 'made up', usedBytes: this.diskBytes.get(agentId) ?? 0 };
  }

  async diskSpace(): Promise<DiskSpace> {
    return { freeBytes: this.freeBytes, totalBytes: 1024 ** 4, inodes: this.inodes };
  }

  async load(agentId: AgentId): Promise<SandboxLoad | undefined> {
    return this.running.has(agentId) ? { cpus: 0.5, memoryBytes: 1 << 20, pids: 3, startedAt: 0 } : undefined;
  }

  async connect(agentId: AgentId, channel: WireChannel): Promise<Socket> {
    this.connects++;
    const running = this.running.get(agentId);
    if (running === undefined) throw new CaissonError('SANDBOX_NOT_RUNNING', 'It does not run.');
    if (this.isDeaf) throw new CaissonError('WIRE_LOST', 'Nobody listens in it.');
    const socket = connect(join(running.directory, `${channel}.sock`));
    await once(socket, 'connect');
    this.sockets.push({ channel, socket });
    return socket;
  }

  /** Cuts every wire that is open. */
  cut(): void {
    for (const { socket } of this.sockets.splice(0)) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const agentId of this.running.keys()) await this.stop(agentId);
  }
}

export interface FleetFixture extends AsyncDisposable {
  readonly provider: InProcessProvider;
  readonly storage: Storage;
  readonly fleet: Fleet;
  readonly domain: Domain;
  readonly observer: SandboxObserver;
  /** An agent whose sandbox is attached, with a conversation. */
  newTalk(name?: string): Promise<{ agent: Agent; conversation: Conversation }>;
  start(conversation: Conversation, message?: string): Promise<RunId>;
  /** A run that the guest has begun. */
  running(conversation: Conversation): Promise<RunId>;
  harness(agent: Agent): FakeHarness;
}

interface Overrides {
  readonly clock?: Clock;
  readonly logger?: Logger;
  readonly domainLogger?: Logger;
  readonly mayRun?: () => Promise<boolean>;
  readonly onWireBroken?: (code: ErrorCode) => void;
  /** Stands between the fleet and the store. */
  readonly observe?: (observer: SandboxObserver) => SandboxObserver;
}

/** The real domain, fleet, store, wire and guest. */
export async function openFleet(overrides: Overrides = {}): Promise<FleetFixture> {
  const { clock = systemClock, logger = silentLogger, domainLogger = silentLogger } = overrides;
  const { mayRun = async () => true, observe = (real) => real, onWireBroken = () => undefined } = overrides;
  await using undo = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'caisson-fleet-'));
  undo.defer(() => rm(directory, { recursive: true }));
  const storage = await openStorage(directory);
  undo.defer(() => storage.close());
  const provider = undo.use(new InProcessProvider());
  const quotas = new FixedQuotas();
  let parts: { fleet: Fleet; observer: SandboxObserver } | undefined;
  const domain = createDomain({
    store: storage.agents,
    connectSandboxes: (real) => {
      const observer = observe(real);
      const fleet = new Fleet({
        provider,
        observer,
        specOf: ({ id: agentId, limits }) => ({ agentId, image: 'none', limits, environment: {} }),
        outwardFor: () => () => undefined,
        egressFor: () => () => undefined,
        authoritiesFor: async () => '',
        knownSince: storage.madeAt,
        onWireBroken,
        clock,
        logger,
      });
      parts = { fleet, observer };
      return fleet;
    },
    access: { mayRun },
    quotas,
    clock,
    logger: domainLogger,
    settings,
  });
  if (parts === undefined) throw new Error('the domain did not connect its sandboxes');
  const { fleet, observer } = parts;
  undo.use(fleet);
  undo.defer(() => domain.drain());
  const principalId = newUserId();
  await storage.identities.insertUser({
    id: principalId,
    name: 'someone',
    role: 'member',
    createdAt: 0,
    disabledAt: null,
  });
  const held = undo.move();
  const start = async ({ id: conversationId }: Conversation, message = 'hello'): Promise<RunId> =>
    (await domain.runs.start({ principalId, conversationId, content: text(message) })).runId;
  return {
    provider,
    storage,
    fleet,
    domain,
    observer,
    async newTalk(name = 'worker') {
      const agent = await domain.agents.create({
        ownerId: principalId,
        name,
        harness: 'codex',
        model: null,
        provider: provider.name,
        limits: { cpus: 1, memoryBytes: 1 << 30, pids: 100 },
      });
      await domain.agents.whenReady(agent.id, AbortSignal.timeout(10_000));
      return { agent, conversation: await domain.conversations.open({ agentId: agent.id }) };
    },
    start,
    async running(conversation) {
      const runId = await start(conversation);
      await until('the run has begun', async () => (await domain.runs.get(runId)).state === 'running');
      return runId;
    },
    harness(agent) {
      const running = provider.running.get(agent.id);
      if (running === undefined) throw new Error(`the sandbox of ${agent.id} does not run`);
      return running.harness;
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

function sandboxOf(agentId: AgentId): Sandbox {
  return { agentId, state: 'running', ended: null, providerId: agentId, image: 'none', createdAt: 0 };
}
