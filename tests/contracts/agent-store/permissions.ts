import { expect, test } from 'vitest';
import type { AgentStore, PermissionFilter } from '../../../src/agents/ports.ts';
import { newPermissionId, newRunId, newUserId } from '../../../src/kernel/ids.ts';
import { aPermission, now, storedAgent } from '../store-records.ts';

export function permissionBehaviours(store: () => AgentStore): void {
  test('a permission is found as it was stored, pending and resolved', async () => {
    const { conversation } = await storedAgent(store());
    const permission = aPermission(conversation, { input: null, runId: null });
    await store().transaction((tx) => tx.insertPermission(permission));
    expect(await store().findPermission(permission.id)).toEqual(permission);
    expect(await store().findPermission(newPermissionId())).toBeUndefined();
    const resolution = { outcome: 'allowed', optionId: 'yes', resolvedBy: newUserId(), resolvedAt: now + 1 } as const;
    expect(await store().transaction((tx) => tx.resolvePermission(permission.id, resolution))).toBe(true);
    expect(await store().findPermission(permission.id)).toEqual({ ...permission, state: 'resolved', resolution });
  });

  test('of many who resolve a permission at once, one does', async () => {
    const { conversation } = await storedAgent(store());
    const permission = aPermission(conversation);
    await store().transaction((tx) => tx.insertPermission(permission));
    const people = Array.from({ length: 10 }, () => newUserId());
    const resolved = await Promise.all(
      people.map((resolvedBy) => {
        const resolution = { outcome: 'rejected', optionId: null, resolvedBy, resolvedAt: now } as const;
        return store().transaction((tx) => tx.resolvePermission(permission.id, resolution));
      }),
    );
    expect(resolved.filter((did) => did)).toHaveLength(1);
    expect((await store().findPermission(permission.id))?.resolution?.resolvedBy).toBe(people[resolved.indexOf(true)]);
    const unknown = { outcome: 'expired', optionId: null, resolvedBy: null, resolvedAt: now } as const;
    expect(await store().transaction((tx) => tx.resolvePermission(newPermissionId(), unknown))).toBe(false);
  });

  test('pending permissions are listed of an agent, of an owner and of everyone, oldest first', async () => {
    const one = await storedAgent(store());
    const two = await storedAgent(store(), { ownerId: one.agent.ownerId });
    const foreign = await storedAgent(store());
    const all = [one, two, foreign, one].map(({ conversation }) => aPermission(conversation));
    const done = aPermission(one.conversation);
    await store().transaction(async (tx) => {
      for (const permission of [done, ...all]) await tx.insertPermission(permission);
      await tx.resolvePermission(done.id, { outcome: 'expired', optionId: null, resolvedBy: null, resolvedAt: now });
      const pending = await tx.listPendingPermissions(one.agent.id);
      expect(pending.map(({ id }) => id)).toEqual([all[0]?.id, all[3]?.id]);
    });
    const page = { limit: 200, cursor: null };
    const list = async (filter: PermissionFilter) => (await store().listPendingPermissions(filter, page)).items;
    expect(await list({ agentId: one.agent.id })).toEqual([all[0], all[3]]);
    expect(await list({ visibleTo: one.agent.ownerId, among: null })).toEqual([all[0], all[1], all[3]]);
    const everyone = await list({ visibleTo: null, among: null });
    expect(everyone.filter(({ id }) => [done, ...all].some((permission) => permission.id === id))).toEqual(all);
  });

  test('what is pending of an agent and of a run is told without what it asks', async () => {
    const { agent, conversation } = await storedAgent(store());
    const permission = aPermission(conversation);
    const run = permission.runId ?? newRunId();
    const resolution = { outcome: 'expired', optionId: null, resolvedBy: null, resolvedAt: now } as const;
    await store().transaction(async (tx) => {
      expect(await tx.hasPermission(permission.id)).toBe(false);
      await tx.insertPermission(permission);
      const { id, agentId, conversationId, runId, incarnation } = permission;
      const pending = { id, agentId, conversationId, runId, incarnation };
      expect(await tx.findPendingPermission(id)).toEqual(pending);
      expect(await tx.listPendingPermissions(agent.id)).toEqual([pending]);
      expect([await tx.isPermissionAwaited(run), await tx.countPendingPermissions(agent.id)]).toEqual([true, 1]);
      await tx.resolvePermission(id, resolution);
      expect(await tx.hasPermission(id)).toBe(true);
      expect(await tx.findPendingPermission(id)).toBeUndefined();
      expect(await tx.listPendingPermissions(agent.id)).toEqual([]);
      expect([await tx.isPermissionAwaited(run), await tx.countPendingPermissions(agent.id)]).toEqual([false, 0]);
    });
  });
}
