import { expect, test, vi } from 'vitest';
import type { Agent } from '../../../src/agents/agent.ts';
import { Fleet } from '../../../src/controlplane/fleet/fleet.ts';
import { type Clock, systemClock } from '../../../src/kernel/clock.ts';
import { CaissonError } from '../../../src/kernel/errors.ts';
import {
  agentIdSchema,
  agentMadeAt,
  type AgentId,
  newAgentId,
  newIncarnationId,
  newUserId,
} from '../../../src/kernel/ids.ts';
import { type Logger, silentLogger } from '../../../src/kernel/logger.ts';
import { HandClock } from '../../acp/hand-clock.ts';
import { until } from '../../until.ts';
import { type LoggedLine, recordingLogger } from '../recording-logger.ts';
import type { Sandbox, SandboxProvider } from '../../../src/sandbox-providers/contract/index.ts';
import type { SandboxObserver } from '../../../src/agents/ports.ts';
import { openFleet } from './fleet-fixture.ts';

const limits = { cpus: 1, memoryBytes: 1 << 30, pids: 100 };

/** Made in 2016. */
const older = agentIdSchema.parse(`agt-01aryz6s410000000000000000`);

function agentThatRan(name: string): Agent {
  return {
    id: newAgentId(),
    name,
    ownerId: newUserId(),
    harness: 'codex',
    model: null,
    provider: 'none',
    limits,
    createdAt: 0,
    deleting: false,
    sandbox: { state: 'running', incarnation: newIncarnationId() },
  };
}

/** A provider without any sandbox, whose listing takes until `listed` resolves; sandboxes come up as slowly. */
function slowProvider(
  listed: Promise<readonly Sandbox[]>,
  find: SandboxProvider['find'] = async () => undefined,
): SandboxProvider {
  const unused = async (): Promise<never> => {
    throw new CaissonError('PROVIDER_UNAVAILABLE', 'This provider only lists.');
  };
  return {
    name: 'none',
    capabilities: { pause: false, limits: true, sealedNetwork: true, disk: true },
    check: unused,
    ensureRunning: async () => {
      await listed;
      return await unused();
    },
    find,
    list: () => listed,
    stop: unused,
    pause: unused,
    resume: unused,
    destroy: unused,
    measureDisk: unused,
    diskSpace: async () => undefined,
    load: async () => undefined,
    connect: unused,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

interface Parts {
  readonly observer?: SandboxObserver;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

function observerOf(lost: AgentId[]): SandboxObserver {
  return {
    applyJournal: async () => undefined,
    flushed: async () => undefined,
    sandboxAttached: async () => ({ journalPosition: 0, leaseEpoch: 1 }),
    sandboxLost: async (agentId) => void lost.push(agentId),
    sandboxStarting: async () => true,
    sandboxFailed: async () => undefined,
  };
}

function fleetOf(provider: SandboxProvider, lost: AgentId[], parts: Parts = {}): Fleet {
  const { observer = observerOf(lost), clock = systemClock, logger = silentLogger } = parts;
  return new Fleet({
    provider,
    observer,
    specOf: ({ id }) => ({ agentId: id, image: 'none', limits, environment: {} }),
    outwardFor: () => () => undefined,
    egressFor: () => () => undefined,
    authoritiesFor: async () => '',
    knownSince: agentMadeAt(older) + 1,
    clock,
    logger,
  });
}

test('an agent that is used while a starting control plane looks for sandboxes is not reported as lost', async () => {
  const [left, used] = [agentThatRan('left'), agentThatRan('used')];
  const listing = Promise.withResolvers<readonly Sandbox[]>();
  const lost: AgentId[] = [];
  await using fleet = fleetOf(slowProvider(listing.promise), lost);
  const started = fleet.start(async () => [left, used]);
  const ensuring = fleet.ensureGuest(used);
  listing.resolve([]);
  await expect(ensuring).rejects.toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
  await started;
  expect(lost).toEqual([left.id]);
});

test('a control plane that is stopped while it looks for its sandboxes one by one asks for no more of them', async () => {
  const [first, second] = [agentThatRan('first'), agentThatRan('second')];
  const asked: AgentId[] = [];
  const found = Promise.withResolvers<undefined>();
  const find = async (agentId: AgentId): Promise<undefined> => {
    asked.push(agentId);
    return await found.promise;
  };
  const fleet = fleetOf(slowProvider(Promise.resolve([]), find), []);
  void fleet.start(async () => [first, second]);
  await until('the first is looked for', () => asked.length === 1);
  const closing = fleet[Symbol.asyncDispose]();
  found.resolve(undefined);
  await closing;
  expect(asked).toEqual([first.id]);
});

test('what carries our instance and was made before the data directory is left, and told of; what is newer and has no agent is removed', async () => {
  const newer = newAgentId();
  const log: LoggedLine[] = [];
  const removed: AgentId[] = [];
  const listed = [older, newer].map((agentId): Sandbox => {
    return { agentId, providerId: agentId, image: 'none', createdAt: 0, state: 'running', ended: null };
  });
  const provider: SandboxProvider = {
    ...slowProvider(Promise.resolve(listed)),
    destroy: async (agentId) => void removed.push(agentId),
  };
  await using fleet = fleetOf(provider, [], { logger: recordingLogger(log) });
  await fleet.start(async () => []);
  expect(removed).toEqual([newer]);
  expect(log.filter(({ level }) => level === 'error')).toMatchObject([{ fields: { sandboxes: 1, agentIds: [older] } }]);
});

test('an engine that answers late is asked until it does: what died meanwhile is stopped and holds no room, what lives is attached', async () => {
  await using fixture = await openFleet();
  const { provider, storage, observer } = fixture;
  const [{ agent: dead }, { agent: live }] = [await fixture.newTalk('dead'), await fixture.newTalk('live')];
  await fixture.fleet[Symbol.asyncDispose]();
  await provider.end(dead.id, { exitCode: 137, outOfMemory: false });
  const gone = new CaissonError('PROVIDER_UNAVAILABLE', 'Docker does not answer.');
  const list = vi.spyOn(provider, 'list').mockRejectedValueOnce(gone).mockRejectedValueOnce(gone);
  const clock = new HandClock();
  await using fleet = fleetOf(provider, [], { observer, clock });
  const up = async (): Promise<AgentId[]> => (await storage.agents.listAgentsUp(null)).map(({ id }) => id).toSorted();
  const started = fleet.start(() => storage.agents.listOwnAgents(dead.ownerId));
  for (const [round, waitMs] of [1_000, 2_000].entries()) {
    await until('it waits to ask again', () => clock.hasTimers);
    expect(list).toHaveBeenCalledTimes(round + 1);
    expect(await up()).toEqual([dead.id, live.id].toSorted());
    clock.advance(waitMs);
  }
  await started;
  expect((await storage.agents.findAgent(dead.id))?.sandbox).toMatchObject({ state: 'stopped' });
  expect(fleet.currentGuest(live.id)).toBeDefined();
  expect(await up()).toEqual([live.id]);
});

test('a control plane that is stopped while the engine is gone asks it no more, and does not wait for it', async () => {
  let asked = 0;
  const list = async (): Promise<never> => {
    asked++;
    throw new CaissonError('PROVIDER_UNAVAILABLE', 'Docker does not answer.');
  };
  const clock = new HandClock();
  const fleet = fleetOf({ ...slowProvider(Promise.resolve([])), list }, [], { clock });
  const started = fleet.start(async () => []);
  await until('it waits to ask again', () => clock.hasTimers);
  await fleet[Symbol.asyncDispose]();
  await started;
  expect(clock.hasTimers).toBe(false);
  expect(asked).toBe(1);
});
