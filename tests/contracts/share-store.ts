import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Agent } from '../../src/agents/agent.ts';
import type { AgentStore } from '../../src/agents/ports.ts';
import type { IdentityStore } from '../../src/controlplane/auth/identity.ts';
import type { Share, ShareRole, ShareStore } from '../../src/controlplane/auth/sharing.ts';
import { newAgentId, newUserId, type UserId } from '../../src/kernel/ids.ts';
import { aConversation, anAgent, aPermission, now } from './store-records.ts';

interface Stores {
  readonly shares: ShareStore;
  readonly agents: AgentStore;
  readonly identities: IdentityStore;
  readonly close: () => Promise<void>;
}

/** What every `ShareStore` does, with the listings of the agent store that go by it. */
export function shareStoreContract(name: string, open: () => Promise<Stores>): void {
  describe(`the share store in ${name}`, () => {
    let stores: Stores;
    beforeEach(async () => {
      stores = await open();
    });
    afterEach(() => stores.close());

    const aStoredUser = async (userName: string): Promise<UserId> => {
      const id = newUserId();
      await stores.identities.insertUser({ id, name: userName, role: 'member', createdAt: now, disabledAt: null });
      return id;
    };
    const aStoredAgent = async (ownerId: UserId): Promise<Agent> => {
      const agent = anAgent({ ownerId });
      await stores.agents.transaction((tx) => tx.insertAgent(agent));
      return agent;
    };
    const aShare = ({ id: agentId, ownerId }: Agent, userId: UserId, role: ShareRole = 'viewer'): Share => ({
      agentId,
      userId,
      role,
      createdBy: ownerId,
      createdAt: now,
    });

    test('a share is put, changed, listed in the order of sharing, and removed once', async () => {
      const { shares } = stores;
      const [ada, eve, mia] = [await aStoredUser('ada'), await aStoredUser('eve'), await aStoredUser('mia')];
      const agent = await aStoredAgent(ada);
      expect(await shares.putShare(aShare(agent, eve), 10)).toBe('none');
      expect(await shares.putShare(aShare(agent, mia, 'editor'), 10)).toBe('none');
      expect(await shares.putShare(aShare(agent, eve, 'editor'), 10)).toBe('viewer');
      expect(await shares.listShares(agent.id)).toEqual([aShare(agent, eve, 'editor'), aShare(agent, mia, 'editor')]);
      expect(await shares.findShare(agent.id, eve)).toEqual({ role: 'editor', isOwnerDisabled: false });
      await stores.identities.disableUser(ada, now);
      expect(await shares.findShare(agent.id, eve)).toEqual({ role: 'editor', isOwnerDisabled: true });
      expect(await shares.removeShare(agent.id, eve)).toBe(true);
      expect(await shares.removeShare(agent.id, eve)).toBe(false);
      expect(await shares.findShare(agent.id, eve)).toBeUndefined();
      expect(await shares.findShare(newAgentId(), mia)).toBeUndefined();
      await expect(shares.putShare(aShare(anAgent(), eve), 10)).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
    });

    test('of many at once there are no more than are allowed', async () => {
      const agent = await aStoredAgent(await aStoredUser('ada'));
      const users = await Promise.all([1, 2, 3, 4, 5].map((n) => aStoredUser(`user ${n}`)));
      const outcomes = await Promise.all(users.map((userId) => stores.shares.putShare(aShare(agent, userId), 3)));
      expect(outcomes.toSorted()).toEqual(['full', 'full', 'none', 'none', 'none']);
      expect(await stores.shares.listShares(agent.id)).toHaveLength(3);
    });

    test('what is shared is listed with what is owned: agents newest first, and what they ask', async () => {
      const { shares, agents } = stores;
      const [ada, eve] = [await aStoredUser('ada'), await aStoredUser('eve')];
      const made: Agent[] = [];
      for (const owner of [eve, ada, ada, eve, ada]) made.push(await aStoredAgent(owner));
      const [own, shared, hidden, ownToo, sharedToo] = made;
      if (!own || !shared || !hidden || !ownToo || !sharedToo) throw new Error('they are all there');
      await shares.putShare(aShare(sharedToo, eve), 10);
      await shares.putShare(aShare(shared, eve), 10);
      const page = { limit: 10, cursor: null };
      const visible = { visibleTo: eve, among: null };
      expect((await agents.listAgents(visible, page)).items).toEqual([sharedToo, ownToo, shared, own]);
      expect(await agents.listOwnAgents(eve)).toEqual([ownToo, own]);
      const among = [hidden.id, own.id, shared.id, newAgentId()];
      expect((await agents.listAgents({ visibleTo: eve, among }, page)).items).toEqual([shared, own]);
      expect((await agents.listAgents({ visibleTo: null, among }, page)).items).toEqual([hidden, shared, own]);

      const conversations = [own, shared, hidden].map(({ id }) => aConversation(id));
      const permissions = conversations.map((conversation) => aPermission(conversation));
      await agents.transaction(async (tx) => {
        for (const conversation of conversations) await tx.insertConversation(conversation);
        for (const permission of permissions) await tx.insertPermission(permission);
      });
      expect((await agents.listPendingPermissions(visible, page)).items).toEqual(permissions.slice(0, 2));
      const named = { visibleTo: eve, among: [shared.id, hidden.id] };
      expect((await agents.listPendingPermissions(named, page)).items).toEqual(permissions.slice(1, 2));
    });

    test('a share goes with its user, who can be deleted only without agents', async () => {
      const [ada, eve] = [await aStoredUser('ada'), await aStoredUser('eve')];
      const agent = await aStoredAgent(ada);
      await stores.shares.putShare(aShare(agent, eve), 10);
      expect(await stores.identities.deleteUser(ada)).toBe(false);
      expect(await stores.identities.deleteUser(eve)).toBe(true);
      expect(await stores.shares.listShares(agent.id)).toEqual([]);
    });
  });
}
