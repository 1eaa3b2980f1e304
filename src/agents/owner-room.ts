import type { Agent } from './agent.ts';
import type { AgentTransaction, AgentUp, OwnerLimits } from './ports.ts';
import { quotaExceeded } from './quota-exceeded.ts';

/** Limits of cores have up to two decimals, and sums of such numbers are a little off. */
const coreGrain = 1e-6;

/**
 * Whether the sandbox of an agent may be up beside those of its owner that are: then what it takes is counted as soon as the
 * transaction stores that it starts. One that is up already has its place.
 *
 * @throws CaissonError QUOTA_EXCEEDED.
 */
export async function requireSandboxRoom(
  tx: Pick<AgentTransaction, 'listAgentsUp'>,
  agent: AgentUp,
  limits: OwnerLimits,
): Promise<void> {
  const refusal = await sandboxRefusal(tx, agent, limits);
  if (refusal !== undefined) throw refusal;
}

/** What `requireSandboxRoom` would throw. */
export async function sandboxRefusal(
  tx: Pick<AgentTransaction, 'listAgentsUp'>,
  agent: AgentUp,
  limits: OwnerLimits,
): Promise<ReturnType<typeof quotaExceeded> | undefined> {
  const { runningSandboxes, cpus, memoryBytes } = limits;
  if (runningSandboxes === null && cpus === null && memoryBytes === null) return undefined;
  const up = await tx.listAgentsUp(agent.ownerId);
  if (up.some(({ id }) => id === agent.id)) return undefined;
  const sum = (amountOf: (each: Agent['limits']) => number): number =>
    up.reduce((total, each) => total + amountOf(each.limits), 0);
  const hint = 'Stop or delete another agent of this user, or ask an administrator for more.';
  const demands = [
    { dimension: 'running_sandboxes', limit: runningSandboxes, used: up.length, asked: 1 },
    { dimension: 'cpu', limit: cpus, used: rounded(sum((each) => each.cpus)), asked: agent.limits.cpus },
    {
      dimension: 'memory',
      limit: memoryBytes,
      used: sum((each) => each.memoryBytes),
      asked: agent.limits.memoryBytes,
    },
  ];
  for (const { limit, ...demand } of demands) {
    if (limit !== null && demand.used + demand.asked > limit + coreGrain) {
      return quotaExceeded({ ...demand, limit, hint });
    }
  }
  return undefined;
}

function rounded(cores: number): number {
  return Math.round(cores / coreGrain) * coreGrain;
}
