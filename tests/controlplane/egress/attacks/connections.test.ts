import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { CaissonError } from '../../../../src/kernel/errors.ts';
import { newAgentId } from '../../../../src/kernel/ids.ts';
import { until } from '../../../until.ts';
import { denied, internal, openEgress, publicHost } from '../egress-fixture.ts';
import { hello, hostHello, serverName } from './hello-bytes.ts';
import { leave, openHostileGuest } from './hostile-guest.ts';

const allowed = 'allowed.example';
const sound = hello(serverName(allowed));

test('a policy that denies: no name is looked up, and nothing is dialled', async () => {
  await using guest = await openHostileGuest();
  guest.policy.rule = () => denied;
  expect((await guest.ask(allowed)).status).toBe(403);
  expect([guest.resolved, guest.dialled]).toEqual([[], []]);
  expect(await guest.recorded()).toMatchObject({ decision: 'deny', outcome: 'denied', reason: 'No rule allows it.' });
});

test('a policy that fails denies', async () => {
  await using guest = await openHostileGuest();
  guest.policy.rule = () => Promise.reject(new Error('the store is gone'));
  expect((await guest.ask(allowed)).status).toBe(403);
  expect(guest.dialled).toEqual([]);
  expect(await guest.recorded()).toMatchObject({ decision: 'deny', outcome: 'denied' });
});

test('a policy that never answers denies, and its signal tells it so', async () => {
  await using guest = await openHostileGuest({ limits: { decisionTimeoutMs: 200 } });
  let held: AbortSignal | undefined;
  guest.policy.rule = (_target, signal) => {
    held = signal;
    return new Promise(() => undefined);
  };
  expect((await guest.ask(allowed)).status).toBe(403);
  expect(held?.aborted).toBe(true);
  expect(await guest.recorded()).toMatchObject({ decision: 'deny', outcome: 'denied' });
});

test('a program that lets go while it is decided: the decision is given up, and nothing is dialled', async () => {
  await using guest = await openHostileGuest();
  let held: AbortSignal | undefined;
  guest.policy.rule = (_target, signal) => {
    held = signal;
    return new Promise(() => undefined);
  };
  const asked = guest.ask(allowed);
  asked.catch(() => undefined);
  await until('it is being decided', () => held !== undefined);
  await guest[Symbol.asyncDispose]();
  expect(held?.aborted).toBe(true);
  expect(guest.dialled).toEqual([]);
});

test('rules that change while a decision is under way are asked again', async () => {
  await using guest = await openHostileGuest();
  const decision = Promise.withResolvers<typeof publicHost>();
  guest.policy.rule = () => decision.promise;
  guest.policy.again = () => denied;
  const asked = guest.ask(allowed);
  await until('it is being decided', () => guest.policy.asked.length === 1);
  guest.policy.change();
  decision.resolve(publicHost);
  expect((await asked).status).toBe(403);
  expect(guest.dialled).toEqual([]);
  expect(await guest.recorded()).toMatchObject({ decision: 'deny', outcome: 'revoked' });
});

test('rules that no longer allow a connection end it at once, in the middle', async () => {
  await using guest = await openHostileGuest();
  const attempt = await guest.ask(allowed);
  attempt.stream.write(sound);
  await until('it is through', () => guest.reached() !== '');
  guest.policy.again = () => denied;
  guest.policy.change();
  await guest.say(attempt, '');
  const [host] = guest.accepted;
  if (host !== undefined && !host.destroyed) await new Promise((resolve) => host.once('close', resolve));
  expect(host?.readableEnded).toBe(false); // reset: it does not look whole
  expect(await guest.recorded()).toMatchObject({ decision: 'deny', outcome: 'revoked', sentBytes: sound.length });
});

test('a host that is no longer an internal one loses its connections', async () => {
  await using guest = await openHostileGuest({ addresses: () => ['10.0.0.1'] });
  guest.policy.rule = () => internal;
  const attempt = await guest.ask(allowed);
  guest.policy.again = () => publicHost;
  guest.policy.change();
  await guest.say(attempt, '');
  expect(await guest.recorded()).toMatchObject({ outcome: 'revoked' });
});

test('a change of the rules of somebody else changes nothing', async () => {
  await using guest = await openHostileGuest({ host: (socket) => socket.end('still here') });
  const attempt = await guest.ask(allowed);
  guest.policy.again = () => denied;
  guest.policy.change(newAgentId());
  expect(await guest.say(attempt, sound)).toBe('still here');
});

test.each([
  ['sent', hostHello({ asksForAnother: false }), Buffer.alloc(100_000)],
  ['received', Buffer.alloc(100_000), Buffer.alloc(0)],
])('a quota that is used up cuts the connection in the middle of what is %s', async (_direction, answered, more) => {
  await using guest = await openHostileGuest({
    host: (socket) => socket.once('data', () => void socket.write(answered)),
  });
  let left = 50_000;
  guest.meter.take = (bytes) => {
    if (bytes > left) throw new CaissonError('QUOTA_EXCEEDED', 'The quota of bytes is used up.');
    left -= bytes;
  };
  const attempt = await guest.ask(allowed);
  const back = await guest.say(attempt, [sound, more]);
  expect(back.length).toBeLessThanOrEqual(50_000);
  expect(guest.reached().length).toBeLessThanOrEqual(50_000);
  expect(await guest.recorded()).toMatchObject({ outcome: 'over_quota', reason: 'The quota of bytes is used up.' });
});

test('a meter that rejects later holds the bytes back, and then cuts', async () => {
  await using guest = await openHostileGuest();
  const room = Promise.withResolvers<void>();
  let asked = 0;
  guest.meter.take = () => {
    asked++;
    return room.promise;
  };
  const attempt = await guest.ask(allowed);
  attempt.stream.write(sound);
  await until('the meter is asked', () => asked > 0);
  expect(guest.reached()).toBe('');
  room.reject(new CaissonError('QUOTA_EXCEEDED', 'The quota of bytes is used up.'));
  await guest.say(attempt, '');
  expect(guest.reached()).toBe('');
  expect(await guest.recorded()).toMatchObject({ outcome: 'over_quota' });
});

test('a connection above the limit is refused, and those before it stay', async () => {
  await using guest = await openHostileGuest({ limits: { maxConnectionsPerAgent: 2 } });
  const first = await guest.ask(allowed);
  await guest.ask(allowed);
  expect((await guest.ask(allowed)).status).toBe(429);
  expect(guest.records).toMatchObject([{ outcome: 'over_limit' }]);
  leave(first);
  await until('there is room again', () => guest.records.length === 2);
  expect((await guest.ask(allowed)).status).toBe(200);
});

test('a connection that nobody uses is given up', async () => {
  await using guest = await openHostileGuest({ limits: { idleTimeoutMs: 100 } });
  const attempt = await guest.ask(allowed);
  await guest.say(attempt, sound);
  expect(await guest.recorded()).toMatchObject({ outcome: 'over_limit' });
});

test('a program that says nothing at all is given up', async () => {
  await using guest = await openHostileGuest({ limits: { helloTimeoutMs: 100 } });
  await guest.say(await guest.ask(allowed), '');
  expect(await guest.recorded()).toMatchObject({ outcome: 'over_limit' });
});

test('a public host that speaks first is not heard before the program has said who it wants', async () => {
  await using guest = await openHostileGuest({
    limits: { helloTimeoutMs: 200 },
    host: (socket) => void socket.write('220 not what was allowed'),
  });
  expect(await guest.say(await guest.ask(allowed), '')).toBe('');
  expect(await guest.recorded()).toMatchObject({ outcome: 'over_limit', receivedBytes: 0 });
});

test.each([
  ['a request for something else', { ':path': '/model/v1/responses' }],
  ['another method', { ':method': 'PUT', ':path': '/egress/stream' }],
  ['a path with more behind it', { ':path': '/egress/stream/../../trpc' }],
])('%s on the channel', async (_name, headers: Readonly<Record<string, string>>) => {
  await using guest = await openHostileGuest();
  expect((await guest.ask(allowed, '443', headers)).status).toBe(400);
  expect(guest.dialled).toEqual([]);
  expect(await guest.recorded()).toMatchObject({ outcome: 'refused' });
});

test('hosts given twice are none', async () => {
  await using guest = await openHostileGuest();
  expect((await guest.ask(allowed, '443', { 'caisson-egress-host': `${allowed}, evil.example` })).status).toBe(400);
  expect(await guest.recorded()).toMatchObject({ outcome: 'refused' });
});

/** What programs say to the proxies of the sandbox. */
test.each([
  ['SOCKS4', Buffer.from([4, 1, 0, 80, 127, 0, 0, 1, 0])],
  ['SOCKS5 with a password only', Buffer.from([5, 1, 2])],
  ['SOCKS5, to be connected to', Buffer.from([5, 1, 0, 5, 2, 0, 1, 0, 0, 0, 0, 0, 80])],
  ['SOCKS5, for UDP', Buffer.from([5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 53])],
  ['SOCKS5, an address of no kind', Buffer.from([5, 1, 0, 5, 1, 0, 9, 0, 0, 0, 0, 0, 80])],
  ['SOCKS5, an empty name', Buffer.from([5, 1, 0, 5, 1, 0, 3, 0, 0, 80])],
  ['SOCKS5, a name with a NUL', Buffer.from([5, 1, 0, 5, 1, 0, 3, 3, 0x61, 0, 0x62, 0, 80])],
  ['what is no SOCKS', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
])('the SOCKS proxy: %s', async (_name, said) => {
  await using egress = await openEgress();
  const socket = connect({ port: egress.socksProxyPort, host: '127.0.0.1' });
  const got: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => got.push(chunk)).on('error', () => undefined);
  const over = once(socket, 'close');
  socket.write(said);
  await over;
  const last = Buffer.concat(got);
  expect(last.subarray(2, 4)).not.toEqual(Buffer.from([5, 0])); // no connection was granted
  expect(egress.policy.asked).toEqual([]);
});

test.each([
  ['a CONNECT without a port', 'CONNECT allowed.example HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['a CONNECT to a path', 'CONNECT /etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['a CONNECT with a user', 'CONNECT user@allowed.example:443 HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['a request that is not for a proxy', 'GET / HTTP/1.1\r\nHost: allowed.example\r\n\r\n'],
  ['https without CONNECT', 'GET https://allowed.example/ HTTP/1.1\r\nHost: allowed.example\r\n\r\n'],
  ['ftp', 'GET ftp://allowed.example/ HTTP/1.1\r\nHost: allowed.example\r\n\r\n'],
  ['a file', 'GET file:///etc/passwd HTTP/1.1\r\nHost: allowed.example\r\n\r\n'],
  ['a user in the address', 'GET http://user:pass@allowed.example/ HTTP/1.1\r\nHost: allowed.example\r\n\r\n'],
  [
    'lengths that contradict each other',
    'POST http://allowed.example/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['headers of 100 KiB', `GET http://allowed.example/ HTTP/1.1\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`],
])('the HTTP proxy: %s', async (_name, said) => {
  await using egress = await openEgress();
  egress.policy.rule = () => denied; // whoever asks here has got too far already
  const socket = await egress.proxy();
  let got = '';
  socket.on('data', (chunk: Buffer) => (got += chunk.toString('latin1')));
  socket.write(said);
  await until('it is refused', () => got !== '' || socket.destroyed);
  expect(got).toMatch(/^HTTP\/1\.1 4\d\d /);
});
