import { randomBytes, X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { openSecrets, type Secrets } from '../../../../src/controlplane/egress/secrets/open-secrets.ts';
import type { SecretKeys } from '../../../../src/controlplane/egress/secrets/keyring.ts';
import { openStorage, type Storage } from '../../../../src/controlplane/storage/open-storage.ts';
import { type Clock, systemClock } from '../../../../src/kernel/clock.ts';
import { newSecretId, newUserId } from '../../../../src/kernel/ids.ts';
import { storedAgent } from '../../../contracts/store-records.ts';
import { type LoggedLine, recordingLogger } from '../../recording-logger.ts';
import { dataDirectory } from '../../storage/data-directory.ts';
import { hostName, startHost, openSecretEgress, token } from './secrets-fixture.ts';

const target = { host: hostName, port: 443 };
const by = newUserId();
const [one, two] = [randomBytes(32), randomBytes(32)];

interface Opened extends AsyncDisposable {
  readonly storage: Storage;
  readonly log: LoggedLine[];
  /** Secrets over the same store, as a control plane that starts with these keys has them. */
  start(keys: SecretKeys, clock?: Clock): Promise<Secrets>;
}

async function opened(): Promise<Opened> {
  await using undo = new AsyncDisposableStack();
  const directory = undo.use(dataDirectory());
  const storage = await openStorage(directory.path);
  undo.defer(() => storage.close());
  const held = undo.move();
  const log: LoggedLine[] = [];
  return {
    storage,
    log,
    start: (keys, clock = systemClock) =>
      openSecrets({
        store: storage.secrets,
        agents: storage.agents,
        dataDir: directory.path,
        keys,
        extraAuthorities: '',
        useLog: { used: () => undefined },
        clock,
        logger: recordingLogger(log),
      }),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

test('a secret is stored sealed, and comes back to the gateway alone', async () => {
  await using world = await opened();
  const { agent } = await storedAgent(world.storage.agents);
  const scope = { kind: 'agent', agentId: agent.id } as const;
  await using secrets = await world.start(new Map([[1, one]]));
  const set = await secrets.hostSecrets.set(scope, { ...target, form: { kind: 'bearer' }, value: token, by });
  expect(JSON.stringify(set)).not.toContain(token);
  expect(JSON.stringify(await secrets.hostSecrets.list(scope))).not.toContain(token);
  expect(JSON.stringify(await world.storage.secrets.listSealed())).not.toContain(token);
  const found = await secrets.ofGateway.find(agent.id, target);
  expect(found?.credential).toEqual({ header: 'authorization', value: `Bearer ${token}`, hidden: [token] });
});

test('a value that was moved to another row, host or form cannot be opened', async () => {
  await using world = await opened();
  const { agent } = await storedAgent(world.storage.agents);
  const scope = { kind: 'agent', agentId: agent.id } as const;
  await using secrets = await world.start(new Map([[1, one]]));
  await secrets.hostSecrets.set(scope, { ...target, form: { kind: 'bearer' }, value: token, by });
  const [stored] = await world.storage.secrets.listSecrets(scope);
  if (stored === undefined) throw new Error('it was not stored');
  const changes = [
    { id: newSecretId() },
    { host: 'evil.caisson.test' },
    { port: 8443 },
    { form: { kind: 'header', header: 'x-echo' } as const },
    { form: { kind: 'basic', username: 'x' } as const },
  ];
  for (const change of changes) {
    await world.storage.secrets.removeSecret(scope, stored.id);
    const moved = { ...stored, ...change };
    await world.storage.secrets.putSecret(moved);
    await using restarted = await world.start(new Map([[1, one]]));
    const finding = restarted.ofGateway.find(agent.id, { host: moved.host, port: moved.port });
    await expect(finding).rejects.toMatchObject({ code: 'SECRET_UNREADABLE' });
    await world.storage.secrets.removeSecret(scope, moved.id);
  }
});

test('with a new key all is sealed anew at the start, and the old key can go', async () => {
  await using world = await opened();
  const { agent } = await storedAgent(world.storage.agents);
  const scope = { kind: 'agent', agentId: agent.id } as const;
  await using first = await world.start(new Map([[1, one]]));
  await first.hostSecrets.set(scope, { ...target, form: { kind: 'bearer' }, value: token, by });
  const certificate = await first.authorities.certificateOf(agent.id);
  const both = new Map([
    [1, one],
    [2, two],
  ]);
  await using second = await world.start(both);
  expect(await second.hostSecrets.list(scope)).toMatchObject([{ readable: true }]);
  await using third = await world.start(new Map([[2, two]]));
  expect((await third.ofGateway.find(agent.id, target))?.credential.value).toBe(`Bearer ${token}`);
  expect(await third.authorities.certificateOf(agent.id)).toBe(certificate);
  expect(world.log.filter(({ level }) => level === 'warn')).toEqual([]);
});

test('without its key a start goes on: the secret is told as lost, and its authority is made anew', async () => {
  await using world = await opened();
  const { agent } = await storedAgent(world.storage.agents);
  const scope = { kind: 'agent', agentId: agent.id } as const;
  await using first = await world.start(new Map([[1, one]]));
  const { id } = await first.hostSecrets.set(scope, { ...target, form: { kind: 'bearer' }, value: token, by });
  const certificate = await first.authorities.certificateOf(agent.id);
  await using second = await world.start(new Map([[1, two]]));
  expect(await second.hostSecrets.list(scope)).toMatchObject([{ id, readable: false }]);
  await expect(second.ofGateway.find(agent.id, target)).rejects.toMatchObject({ code: 'SECRET_UNREADABLE' });
  expect(await second.ofGateway.find(agent.id, { ...target, port: 8443 })).toBeUndefined();
  expect(await second.authorities.certificateOf(agent.id)).not.toBe(certificate);
  expect(world.log.filter(({ level }) => level === 'warn').map(({ message }) => message)).toEqual([
    expect.stringContaining('cannot be read with the key that is here'),
    expect.stringContaining('it gets another one'),
  ]);
  await second.hostSecrets.set(scope, { ...target, form: { kind: 'bearer' }, value: token, by });
  expect(await second.ofGateway.find(agent.id, target)).toBeDefined();
});

test('a connection to a host whose secret is lost is refused, and never goes without', async () => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world);
  await world.give({ port: host.port });
  const scope = { kind: 'agent', agentId: world.agentId } as const;
  const [stored] = await world.storage.secrets.listSecrets(scope);
  if (stored === undefined) throw new Error('it was not stored');
  await world.storage.secrets.putSecret({ ...stored, sealed: { keyVersion: 7, text: stored.sealed.text } });
  const { status, text } = await world.egress.tunnel(`${hostName}:${host.port}`);
  expect({ status, text }).toEqual({ status: 412, text: expect.stringContaining('SECRET_UNREADABLE') });
  expect(await world.egress.recorded()).toMatchObject({ outcome: 'refused', secretId: null });
});

test('an agent has one authority, however many ask at once, and another before it ends', async () => {
  await using world = await opened();
  const { agent } = await storedAgent(world.storage.agents);
  let now = Date.now();
  await using secrets = await world.start(new Map([[1, one]]), { ...systemClock, now: () => now });
  const all = await Promise.all(Array.from({ length: 20 }, () => secrets.authorities.certificateOf(agent.id)));
  expect(new Set(all).size).toBe(1);
  const certificate = new X509Certificate(all[0] ?? '');
  expect({ ca: certificate.ca, subject: certificate.subject }).toEqual({
    ca: true,
    subject: `CN=Caisson for ${agent.id}`,
  });
  now += 9.5 * 365 * 86_400_000;
  expect(await secrets.authorities.certificateOf(agent.id)).not.toBe(all[0]);
});

test('certificates for a host are kept, and made anew before they end', async () => {
  await using world = await opened();
  const { agent } = await storedAgent(world.storage.agents);
  let now = Date.now();
  await using secrets = await world.start(new Map([[1, one]]), { ...systemClock, now: () => now });
  const first = await secrets.authorities.contextFor(agent.id, hostName);
  expect(await secrets.authorities.contextFor(agent.id, hostName)).toBe(first);
  expect(await secrets.authorities.contextFor(agent.id, 'other.caisson.test')).not.toBe(first);
  now += 25 * 86_400_000;
  expect(await secrets.authorities.contextFor(agent.id, hostName)).not.toBe(first);
});
