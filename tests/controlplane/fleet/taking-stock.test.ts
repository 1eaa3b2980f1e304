import { expect, test } from 'vitest';
import type { Agent } from '../../../src/agents/agent.ts';
import { Fleet } from '../../../src/controlplane/fleet/fleet.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import { CaissonError } from '../../../src/kernel/errors.ts';
import { type AgentId, newAgentId, newIncarnationId, newUserId } from '../../../src/kernel/ids.ts';
import { silentLogger } from '../../../src/kernel/logger.ts';
import type { Sandbox, SandboxProvider } from '../../../src/sandbox-providers/contract/index.ts';

const limits = { cpus: 1, memoryBytes: 1 << 30, pids: 100 };

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
function slowProvider(listed: Promise<readonly Sandbox[]>): SandboxProvider {
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
    find: async () => undefined,
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

test('an agent that is used while a starting control plane looks for sandboxes is not reported as lost', async () => {
  const [left, used] = [agentThatRan('left'), agentThatRan('used')];
  const listing = Promise.withResolvers<readonly Sandbox[]>();
  const lost: AgentId[] = [];
  await using fleet = new Fleet({
    provider: slowProvider(listing.promise),
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
    clock: systemClock,
    logger: silentLogger,
  });
  const started = fleet.start(async () => [left, used]);
  const ensuring = fleet.ensureGuest(used);
  listing.resolve([]);
  await expect(ensuring).rejects.toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
  await started;
  expect(lost).toEqual([left.id]);
});
