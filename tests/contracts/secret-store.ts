import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AgentStore } from '../../src/agents/ports.ts';
import type { IdentityStore } from '../../src/controlplane/auth/identity.ts';
import {
  mostSecrets,
  type SecretScope,
  type SecretStore,
  type StoredAuthority,
  type StoredSecret,
} from '../../src/controlplane/egress/secrets/secret.ts';
import { type AgentId, newAgentId, newSecretId, newUserId, type UserId } from '../../src/kernel/ids.ts';
import { now, storedAgent } from './store-records.ts';

interface Stores {
  readonly secrets: SecretStore;
  readonly agents: AgentStore;
  readonly identities: IdentityStore;
  readonly close: () => Promise<void>;
}

export function aSecret(scope: SecretScope, of: Partial<StoredSecret> = {}): StoredSecret {
  return {
    id: newSecretId(),
    scope,
    host: 'example.com',
    port: 443,
    form: { kind: 'basic', username: 'me' },
    createdBy: newUserId(),
    createdAt: now,
    lastUsedAt: null,
    sealed: { keyVersion: 1, text: 'sealed' },
    ...of,
  };
}

export function anAuthority(agentId: AgentId, of: Partial<StoredAuthority> = {}): StoredAuthority {
  return { agentId, certificate: 'PEM', sealed: { keyVersion: 1, text: 'sealed' }, ...of };
}

/** What every `SecretStore` does. */
export function secretStoreContract(name: string, open: () => Promise<Stores>): void {
  describe(`the secret store in ${name}`, () => {
    let stores: Stores;
    beforeEach(async () => {
      stores = await open();
    });
    afterEach(() => stores.close());

    const ofAgent = async (): Promise<Extract<SecretScope, { kind: 'agent' }>> => ({
      kind: 'agent',
      agentId: (await storedAgent(stores.agents)).agent.id,
    });
    const aUser = async (): Promise<UserId> => {
      const id = newUserId();
      await stores.identities.insertUser({ id, name: id, role: 'member', createdAt: now, disabledAt: null });
      return id;
    };

    test('gives back what was put, of this scope alone, in the order of putting', async () => {
      const { secrets } = stores;
      const [agent, user] = [await ofAgent(), { kind: 'user', userId: await aUser() } as const];
      const first = aSecret(agent, { form: { kind: 'header', header: 'x-key' } });
      const second = aSecret(agent, { port: 8443, lastUsedAt: now });
      const other = aSecret(user);
      for (const each of [first, other, second]) await secrets.putSecret(each);
      expect(await secrets.listSecrets(agent)).toEqual([first, second]);
      expect(await secrets.listSecrets(user)).toEqual([other]);
      expect(await secrets.listSecrets({ kind: 'user', userId: newUserId() })).toEqual([]);
    });

    test('has one secret for a host and port of a scope: the last', async () => {
      const { secrets } = stores;
      const agent = await ofAgent();
      await secrets.putSecret(aSecret(agent));
      const next = aSecret(agent, { form: { kind: 'bearer' } });
      await secrets.putSecret(next);
      expect(await secrets.listSecrets(agent)).toEqual([next]);
    });

    test('holds a number of them for each scope, of which one can still be replaced', async () => {
      const { secrets } = stores;
      const agent = await ofAgent();
      for (let port = 1; port <= mostSecrets; port++) await secrets.putSecret(aSecret(agent, { port }));
      await expect(secrets.putSecret(aSecret(agent, { port: 9_999 }))).rejects.toMatchObject({ code: 'LIMIT_REACHED' });
      await secrets.putSecret(aSecret(agent, { port: 1 }));
      expect(await secrets.listSecrets(agent)).toHaveLength(mostSecrets);
    });

    test('removes one of this scope, and no other’s', async () => {
      const { secrets } = stores;
      const [agent, stranger] = [await ofAgent(), await ofAgent()];
      const secret = aSecret(agent);
      await secrets.putSecret(secret);
      expect(await secrets.removeSecret(stranger, secret.id)).toBe(false);
      expect(await secrets.removeSecret(agent, secret.id)).toBe(true);
      expect(await secrets.removeSecret(agent, secret.id)).toBe(false);
      expect(await secrets.listSecrets(agent)).toEqual([]);
    });

    test('notes when one was used, and seals one anew only as it was', async () => {
      const { secrets } = stores;
      const agent = await ofAgent();
      const secret = aSecret(agent);
      await secrets.putSecret(secret);
      await secrets.touchSecret(secret.id, now + 5);
      const anew = { keyVersion: 2, text: 'anew' };
      await secrets.resealSecret(secret.id, { keyVersion: 1, text: 'another' }, { keyVersion: 3, text: 'wrong' });
      await secrets.resealSecret(secret.id, secret.sealed, anew);
      expect(await secrets.listSecrets(agent)).toEqual([{ ...secret, lastUsedAt: now + 5, sealed: anew }]);
    });

    test('has one authority of an agent, and lists all that is sealed', async () => {
      const { secrets } = stores;
      const agent = await ofAgent();
      expect(await secrets.findAuthority(agent.agentId)).toBeUndefined();
      await secrets.putAuthority(anAuthority(agent.agentId));
      const next = anAuthority(agent.agentId, { certificate: 'another' });
      await secrets.putAuthority(next);
      expect(await secrets.findAuthority(agent.agentId)).toEqual(next);
      const secret = aSecret(agent);
      await secrets.putSecret(secret);
      expect(await secrets.listSealed()).toEqual({ secrets: [secret], authorities: [next] });
      await secrets.resealAuthority(agent.agentId, next.sealed, { keyVersion: 2, text: 'anew' });
      expect(await secrets.findAuthority(agent.agentId)).toMatchObject({ sealed: { keyVersion: 2, text: 'anew' } });
    });

    test('takes nothing for an agent that is not there', async () => {
      const { secrets } = stores;
      const agentId = newAgentId();
      const gone = { code: 'AGENT_NOT_FOUND' };
      await expect(secrets.putSecret(aSecret({ kind: 'agent', agentId }))).rejects.toMatchObject(gone);
      await expect(secrets.putAuthority(anAuthority(agentId))).rejects.toMatchObject(gone);
    });
  });
}
