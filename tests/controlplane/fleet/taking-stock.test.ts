import { expect, test } from 'vitest';
import type { Agent } from '../../../src/agents/agent.ts';
import { Fleet } from '../../../src/controlplane/fleet/fleet.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
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
import { until } from '../../until.ts';
import { type LoggedLine, recordingLogger } from '../recording-logger.ts';
import type { Sandbox, SandboxProvider } from '../../../src/sandbox-providers/contract/index.ts';

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

function fleetOf(provider: SandboxProvider, lost: AgentId[], logger: Logger = silentLogger): Fleet {
  return new Fleet({
    provider,
    observer: {
      applyJournal: async () => undefined,
      flushed: async () => undefined,
      sandboxAttached: async () => ({ journalPosition: 0, leaseEpoch: 1 }),
      sandboxLost: async (agentId) => void lost.push(agentId),
      sandboxStarting: async () => true,
      sandboxFailed: async () => undefined,
    },
    specOf: ({ id }) => ({ agentId: id, image: 'none', limits, environment: {} }),
    outwardFor: () => () => undefined,
    egressFor: () => () => undefined,
    authoritiesFor: async () => '',
    knownSince: agentMadeAt(older) + 1,
    clock: systemClock,
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
  await using fleet = fleetOf(provider, [], recordingLogger(log));
  await fleet.start(async () => []);
  expect(removed).toEqual([newer]);
  expect(log.filter(({ level }) => level === 'error')).toMatchObject([{ fields: { sandboxes: 1, agentIds: [older] } }]);
});
