import { createServer, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { connect } from 'node:tls';
import { expect, test } from 'vitest';
import { type KeyPair, newAuthority, newLeaf } from '../../../../src/controlplane/egress/secrets/authority.ts';
import { newUserId } from '../../../../src/kernel/ids.ts';
import { anAgent } from '../../../contracts/store-records.ts';
import { denied, internal, listen } from '../egress-fixture.ts';
import { hostName, openSecretEgress, startHost, token } from '../secrets/secrets-fixture.ts';
import { hello, serverName } from './hello-bytes.ts';

const dayMs = 86_400_000;
const evil = 'evil.caisson.test';

interface HostOptions {
  readonly authority?: KeyPair;
  readonly name?: string;
  readonly at?: number;
}

/** What is answered to bytes that a program sends inside TLS, to the end of the connection. */
async function say(socket: Socket, bytes: string): Promise<string> {
  const answer = text(socket).catch(() => ''); // it was cut
  socket.write(bytes);
  return await answer;
}

const requests = (port: number): readonly (readonly [name: string, request: string])[] => {
  const host = `Host: ${hostName}:${port}`;
  const get = (headers: string, line = 'GET / HTTP/1.1'): string => `${line}\r\n${headers}\r\n\r\n`;
  return [
    ['another Host than that of the hello', get(`Host: ${evil}`)],
    ['two Hosts', get(`${host}\r\nHost: ${evil}`)],
    ['no Host', get('Accept: */*')],
    ['the Host with another port', get(`Host: ${hostName}:1`)],
    ['a user before the Host', get(`Host: ${hostName}@${evil}`)],
    ['absolute form, of another host', get(host, `GET https://${evil}/ HTTP/1.1`)],
    ['absolute form, of the host itself', get(host, `GET https://${hostName}:${port}/ HTTP/1.1`)],
    ['CONNECT inside', get(host, `CONNECT ${evil}:443 HTTP/1.1`)],
    ['TRACE, which answers with what it was sent', get(host, 'TRACE / HTTP/1.1')],
    ['a length and chunks', get(`${host}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked`, 'POST / HTTP/1.1')],
    ['two lengths', get(`${host}\r\nContent-Length: 5\r\nContent-Length: 6`, 'POST / HTTP/1.1')],
    [
      'chunks that are not the last encoding',
      get(`${host}\r\nTransfer-Encoding: chunked, identity`, 'POST / HTTP/1.1'),
    ],
    ['a space before the colon of a header', get(`${host}\r\nTransfer-Encoding : chunked`, 'POST / HTTP/1.1')],
    ['a bare CR in a header', get(`${host}\r\nX: a\rHost: ${evil}`)],
    ['headers of 100 KiB', get(`${host}\r\nX: ${'x'.repeat(100_000)}`)],
    ['HTTP/2 that was not agreed on', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['what is no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
  ];
};

test.each(requests(0).map(([name]) => name))('over a connection that carries a secret: %s', async (name) => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world);
  await world.give({ port: host.port });
  const [, request = ''] = requests(host.port).find((each) => each[0] === name) ?? [];
  const answer = await say(await world.open(host.port), request);
  expect(answer).not.toContain(token);
  expect(answer).toMatch(/^(HTTP\/1\.1 4\d\d |$)/); // what comes too fast to be read is answered by a reset
  expect(host.asked).toEqual([]);
  expect(await world.egress.recorded()).toMatchObject({ outcome: 'refused', secretId: null });
});

test('a program that drops its connection while the host is asked for its certificate ends that, and nothing else', async () => {
  const defects: unknown[] = [];
  const hear = (reason: unknown): void => void defects.push(reason);
  process.on('unhandledRejection', hear);
  try {
    await using world = await openSecretEgress();
    const asked = Promise.withResolvers<void>();
    await using host = await listen(
      createServer((socket) => socket.on('error', () => undefined).once('data', () => asked.resolve())),
    );
    await world.give({ port: host.port });
    const { socket } = await world.egress.tunnel(`${hostName}:${host.port}`);
    socket.write(hello(serverName(hostName)));
    await asked.promise;
    socket.resetAndDestroy();
    expect(await world.egress.recorded()).toMatchObject({ outcome: 'closed' });
    await new Promise((turn) => setImmediate(turn)); // it is heard of after a turn
    expect(defects).toEqual([]);
  } finally {
    process.off('unhandledRejection', hear);
  }
});

test('a second request to another host, behind a sound one', async () => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world);
  await world.give({ port: host.port });
  const own = `GET /own HTTP/1.1\r\nHost: ${hostName}:${host.port}\r\n\r\n`;
  const other = `GET /other HTTP/1.1\r\nHost: ${evil}\r\n\r\n`;
  expect(await say(await world.open(host.port), own + other)).toMatch(/200 OK[\s\S]*403 Forbidden/);
  expect(host.asked.map(({ url }) => url)).toEqual(['/own']);
});

test('a request inside the body of another stays a body', async () => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world);
  await world.give({ port: host.port });
  const body = `GET /smuggled HTTP/1.1\r\nHost: ${evil}\r\n\r\n`;
  await world.ask(host.port, { method: 'GET', headers: { 'content-length': Buffer.byteLength(body) }, body });
  expect(host.asked.map(({ url, body: sent }) => [url, sent])).toEqual([['/', body]]);
});

test.each([
  ['once', ['Bearer mine']],
  ['twice', ['Bearer mine', 'Bearer also mine']],
])('the header of the secret, sent by the sandbox %s, is replaced', async (_times, own) => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world);
  await world.give({ port: host.port });
  const headers = own.map((value, index) => `${index === 0 ? 'Authorization' : 'aUTHORIZATION'}: ${value}\r\n`);
  await say(
    await world.open(host.port),
    `GET / HTTP/1.1\r\nHost: ${hostName}:${host.port}\r\n${headers.join('')}Connection: close, authorization\r\n\r\n`,
  );
  const sent = host.asked[0]?.rawHeaders ?? [];
  expect(sent.filter((_name, index) => sent[index - 1]?.toLowerCase() === 'authorization')).toEqual([
    `Bearer ${token}`,
  ]);
});

test.each([
  ['of an authority that nobody knows', async () => ({ authority: await newAuthority('the world', Date.now()) })],
  ['that has expired', async () => ({ at: Date.now() - 400 * dayMs })],
  ['that is not good yet', async () => ({ at: Date.now() + 400 * dayMs })],
  ['of another name', async () => ({ name: evil })],
  ['of a name that only ends like it', async () => ({ name: `${hostName}.${evil}` })],
  ['of its own', async () => ({ authority: await newAuthority(hostName, Date.now()) })],
])('a host whose certificate is one %s gets nothing', async (_what, made) => {
  await using world = await openSecretEgress();
  const { authority = world.world, ...options } = (await made()) as HostOptions;
  await using host = await startHost(authority, options);
  await world.give({ port: host.port });
  await expect(world.ask(host.port)).rejects.toThrow();
  expect(host.asked).toEqual([]);
  expect(await world.egress.recorded()).toMatchObject({
    outcome: 'refused',
    secretId: null,
    reason: expect.stringContaining('did not show that it is'),
  });
});

test('the secret of another port', async () => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world);
  await world.give({ port: 443 });
  await expect(world.open(host.port)).rejects.toMatchObject({ code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
  expect(await world.egress.recorded()).toMatchObject({ secretId: null });
});

test.each([hostName.toUpperCase(), `${hostName}.`])(
  'the same host in another spelling (%s) is the same',
  async (spelled) => {
    await using world = await openSecretEgress();
    await using host = await startHost(world.world);
    await world.give({ port: host.port });
    const { socket } = await world.egress.tunnel(`${spelled}:${host.port}`);
    const ca = [await world.secrets.authorities.certificateOf(world.agentId)];
    const side = connect({ socket, servername: hostName, ca });
    const answer = await say(side, `GET / HTTP/1.1\r\nHost: ${spelled}:${host.port}\r\nConnection: close\r\n\r\n`);
    expect(answer).toContain('200 OK');
    expect(host.asked[0]?.headers.authorization).toBe(`Bearer ${token}`);
    expect(host.asked[0]?.headers.host).toBe(`${hostName}:${host.port}`);
  },
);

test('another name in the hello than in CONNECT', async () => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world);
  await world.give({ port: host.port });
  const { socket } = await world.egress.tunnel(`${evil}:${host.port}`);
  const side = connect({ socket, servername: hostName, rejectUnauthorized: false });
  side.on('error', () => undefined);
  await new Promise((resolve) => side.once('close', resolve));
  expect(host.asked).toEqual([]);
  expect(await world.egress.recorded()).toMatchObject({ outcome: 'refused', secretId: null });
});

test('a policy that denies comes first: the secret is not even opened', async () => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world);
  await world.give({ port: host.port });
  const [stored] = await world.storage.secrets.listSecrets({ kind: 'agent', agentId: world.agentId });
  if (stored === undefined) throw new Error('it was not stored');
  // Were it opened, that would be told instead.
  await world.storage.secrets.putSecret({ ...stored, sealed: { keyVersion: 7, text: 'lost' } });
  world.egress.policy.rule = () => denied;
  const { status, text: words } = await world.egress.tunnel(`${hostName}:${host.port}`);
  expect({ status, words }).toEqual({ status: 403, words: expect.stringContaining('EGRESS_DENIED') });
  expect(await world.egress.recorded()).toMatchObject({ outcome: 'denied', secretId: null });
});

test('a policy that changes cuts a connection that carries a secret', async () => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world);
  await world.give({ port: host.port });
  const socket = await world.open(host.port);
  world.egress.policy.again = () => denied;
  world.egress.policy.change();
  await new Promise((resolve) => socket.once('close', resolve));
  expect(await world.egress.recorded()).toMatchObject({ outcome: 'revoked' });
  world.egress.policy.again = () => internal;
});

test('plain HTTP to the port of a secret carries none', async () => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world);
  await world.give({ port: host.port });
  const { socket } = await world.egress.tunnel(`${hostName}:${host.port}`);
  await say(socket, `GET / HTTP/1.1\r\nHost: ${hostName}:${host.port}\r\nConnection: close\r\n\r\n`);
  socket.destroy();
  expect(host.asked).toEqual([]);
  expect(await world.egress.recorded()).toMatchObject({ secretId: null });
});

test('the secret of a user is for no agent of another', async () => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world);
  const stranger = newUserId();
  await world.storage.identities.insertUser({
    id: stranger,
    name: 's',
    role: 'member',
    createdAt: 1,
    disabledAt: null,
  });
  const theirs = anAgent({ ownerId: stranger });
  await world.storage.agents.transaction((tx) => tx.insertAgent(theirs));
  await world.give({ port: host.port, scope: { kind: 'user', userId: stranger } });
  await world.give({ port: host.port, scope: { kind: 'agent', agentId: theirs.id } });
  await expect(world.open(host.port)).rejects.toMatchObject({ code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
  const target = { host: hostName, port: host.port };
  expect(await world.secrets.ofGateway.find(world.agentId, target)).toBeUndefined();
  expect(await world.secrets.ofGateway.find(theirs.id, target)).toBeDefined();
});

test('the authority of one agent vouches for nothing in the sandbox of another', async () => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world);
  await world.give({ port: host.port });
  const other = anAgent({ ownerId: world.ownerId });
  await world.storage.agents.transaction((tx) => tx.insertAgent(other));
  const { socket } = await world.egress.tunnel(`${hostName}:${host.port}`);
  const ca = [await world.secrets.authorities.certificateOf(other.id)];
  const side = connect({ socket, servername: hostName, ca });
  const refused = await new Promise((resolve) => side.once('error', resolve));
  expect(refused).toMatchObject({ code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
  side.destroy();
  expect(await world.egress.recorded()).toMatchObject({ secretId: null });
  expect(host.asked).toEqual([]);
});

test('what the sandbox has of its authority signs nothing', async () => {
  await using world = await openSecretEgress();
  const certificate = await world.secrets.authorities.certificateOf(world.agentId);
  expect(certificate).not.toContain('PRIVATE');
  await expect(newLeaf({ certificate, privateKey: certificate }, evil, Date.now())).rejects.toThrow();
});

test('a hello that does not come to its end', async () => {
  await using world = await openSecretEgress({ limits: { helloTimeoutMs: 300 } });
  await using host = await startHost(world.world);
  await world.give({ port: host.port });
  const { socket } = await world.egress.tunnel(`${hostName}:${host.port}`);
  socket.write(Buffer.from([0x16, 3, 1, 2, 0, 1]));
  await new Promise((resolve) => socket.once('close', resolve));
  expect(await world.egress.recorded()).toMatchObject({ outcome: 'over_limit', secretId: null });
});

test('a program that speaks nothing but HTTP/2', async () => {
  await using world = await openSecretEgress();
  await using host = await startHost(world.world);
  await world.give({ port: host.port });
  const { socket } = await world.egress.tunnel(`${hostName}:${host.port}`);
  const ca = [await world.secrets.authorities.certificateOf(world.agentId)];
  const side = connect({ socket, servername: hostName, ca, ALPNProtocols: ['h2'] });
  await new Promise((resolve) => side.once('error', resolve));
  side.destroy();
  expect(await world.egress.recorded()).toMatchObject({ outcome: 'refused', secretId: null });
  expect(host.asked).toEqual([]);
});

test('a program that says hello and nothing more', async () => {
  await using world = await openSecretEgress({ limits: { helloTimeoutMs: 1_000 } });
  await using host = await startHost(world.world);
  await world.give({ port: host.port });
  const { socket } = await world.egress.tunnel(`${hostName}:${host.port}`);
  // What a real client begins with.
  const said = new Promise<Buffer>((resolve) => {
    const listening = new Duplex({ read: () => undefined, write: (chunk: Buffer) => resolve(chunk) });
    connect({ socket: listening, servername: hostName }).on('error', () => undefined);
  });
  socket.write(await said);
  await new Promise((resolve) => socket.once('close', resolve));
  expect((await world.egress.recorded()).outcome).toMatch(/^(over_limit|unreachable)$/); // the program was late, or the host
  expect(host.asked).toEqual([]);
});
