import type { AgentStore } from '../../agents/ports.ts';
import type { UserId } from '../../kernel/ids.ts';
import type { IdentityStore } from '../auth/identity.ts';
import type { DiskBook } from '../disk/disk-book.ts';
import { dayMs, type EgressLogStore } from '../egress/log/egress-log.ts';
import type { ModelUsageStore } from '../model-gateway/model-usage.ts';

/** What one user has, and has used in the last days, with what agents used that are deleted since. */
export interface UserUsage {
  /** The name is null of one who is deleted. */
  readonly user: { readonly id: UserId; readonly name: string | null };
  readonly agents: number;
  readonly sandboxesUp: number;
  readonly diskBytes: number;
  readonly modelCalls: number;
  readonly tokens: number;
  /** Millionths of a US dollar. */
  readonly costMicros: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

interface UsageParts {
  readonly agents: Pick<AgentStore, 'countAgents' | 'listAgentsUp'>;
  readonly identities: Pick<IdentityStore, 'listUsers' | 'findUser'>;
  readonly disks: Pick<DiskBook, 'usedByUser'>;
  readonly modelUsage: Pick<ModelUsageStore, 'totals'>;
  readonly egressLog: Pick<EgressLogStore, 'sumUsage'>;
}

/** Of everyone, who cost most first; `days` of UTC, today included. At most 1,000 users, and those who used something. */
export async function usageOfUsers(parts: UsageParts, days: number, now: number): Promise<readonly UserUsage[]> {
  const { agents, identities, disks, modelUsage, egressLog } = parts;
  const since = (Math.floor(now / dayMs) - days + 1) * dayMs;
  const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10);
  const range = { from: dayOf(since), to: dayOf(now) };
  const totals = await modelUsage.totals({ ...range, groupBy: ['user'], userId: null, agentId: null });
  const models = new Map(totals.map((total) => [total.userId, total]));
  const egress = new Map((await egressLog.sumUsage(since)).map((sum) => [sum.ownerId, sum]));
  const up = new Map<UserId, number>();
  for (const { ownerId } of await agents.listAgentsUp(null)) up.set(ownerId, (up.get(ownerId) ?? 0) + 1);
  const names = new Map((await identities.listUsers()).map(({ id, name }) => [id, name]));
  const ids = new Set([...names.keys(), ...models.keys(), ...egress.keys()].filter((id) => id !== null));
  const rows: UserUsage[] = [];
  for (const id of ids) {
    const model = models.get(id);
    const { sentBytes = 0, receivedBytes = 0 } = egress.get(id) ?? {};
    rows.push({
      user: { id, name: names.get(id) ?? (await identities.findUser(id))?.name ?? null },
      agents: await agents.countAgents(id),
      sandboxesUp: up.get(id) ?? 0,
      diskBytes: disks.usedByUser(id),
      modelCalls: model?.calls ?? 0,
      tokens: (model?.inputTokens ?? 0) + (model?.outputTokens ?? 0),
      costMicros: model?.costMicros ?? 0,
      sentBytes,
      receivedBytes,
    });
  }
  return rows.toSorted((one, other) => other.costMicros - one.costMicros || other.diskBytes - one.diskBytes);
}
