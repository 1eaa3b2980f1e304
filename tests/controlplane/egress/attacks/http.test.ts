import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { until } from '../../../until.ts';
import { internal } from '../egress-fixture.ts';
import { openHostileGuest } from './hostile-guest.ts';

const allowed = 'allowed.example';
const get = (headers: string, line = 'GET / HTTP/1.1'): string => `${line}\r\n${headers}\r\n\r\n`;

/** Each is refused before the host has got a byte of it. */
const refused: readonly (readonly [name: string, request: string])[] = [
  ['another Host', get('Host: evil.example')],
  ['no Host', get('Accept: */*')],
  ['no Host, in HTTP/1.0', get('Accept: */*', 'GET / HTTP/1.0')],
  ['an empty Host', get('Host: ')],
  ['two Hosts, the allowed one first', get(`Host: ${allowed}\r\nHost: evil.example`)],
  ['two Hosts, the allowed one last', get(`Host: evil.example\r\nHost: ${allowed}`)],
  ['two Hosts in one header', get(`Host: ${allowed}, evil.example`)],
  ['the Host with another port', get(`Host: ${allowed}:8080`)],
  ['a user before the Host', get(`Host: ${allowed}@evil.example`)],
  ['a Host that only begins like the allowed one', get(`Host: ${allowed}.evil.example`)],
  ['a Host under the allowed one', get(`Host: sub.${allowed}`)],
  ['a Host in percent signs', get('Host: %61llowed.example')],
  ['a space before the colon of Host', get(`Host : ${allowed}`)],
  ['a Host on a folded line', get(`X: y\r\n Host: evil.example\r\nHost: evil.example`)],
  ['absolute form, of another host', get(`Host: ${allowed}`, 'GET http://evil.example/ HTTP/1.1')],
  ['absolute form, of the metadata service', get(`Host: ${allowed}`, 'GET http://169.254.169.254/ HTTP/1.1')],
  ['CONNECT inside', get(`Host: ${allowed}`, 'CONNECT evil.example:443 HTTP/1.1')],
  ['a path that is none', get(`Host: ${allowed}`, 'GET evil.example/ HTTP/1.1')],
  ['an empty line before another Host', `\r\n${get('Host: evil.example')}`],
  ['many empty lines before another Host', `${'\r\n'.repeat(50)}${get('Host: evil.example')}`],
  [
    'lengths that contradict each other',
    get(`Host: ${allowed}\r\nContent-Length: 5\r\nContent-Length: 6`, 'POST / HTTP/1.1'),
  ],
  [
    'a length and chunks',
    get(`Host: ${allowed}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked`, 'POST / HTTP/1.1'),
  ],
  [
    'chunks that are not the last encoding',
    get(`Host: ${allowed}\r\nTransfer-Encoding: chunked, identity`, 'POST / HTTP/1.1'),
  ],
  [
    'an encoding that only looks like chunks',
    get(`Host: ${allowed}\r\nTransfer-Encoding: xchunked`, 'POST / HTTP/1.1'),
  ],
  ['a length that is negative', get(`Host: ${allowed}\r\nContent-Length: -1`, 'POST / HTTP/1.1')],
  ['a length in hexadecimal', get(`Host: ${allowed}\r\nContent-Length: 0x10`, 'POST / HTTP/1.1')],
  ['a length with a sign', get(`Host: ${allowed}\r\nContent-Length: +5`, 'POST / HTTP/1.1')],
  ['a bare CR in a header', get(`Host: ${allowed}\r\nX: a\rHost: evil.example`)],
  ['a NUL in a header', get(`Host: ${allowed}\r\nX: a\0b`)],
  ['HTTP/0.9', 'GET /\r\n'],
  ['HTTP/2 without TLS', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['a version that there is not', get(`Host: ${allowed}`, 'GET / HTTP/9.9')],
  ['headers of 100 KiB', get(`Host: ${allowed}\r\nX: ${'x'.repeat(100_000)}`)],
  ['a method that is none', get(`Host: ${allowed}`, 'G(T / HTTP/1.1')],
  ['a method that begins like SSH', get('Host: evil.example', 'SSH-X / HTTP/1.1')],
  ['a method that is a version of SSH', get('Host: evil.example', 'SSH-2.0-x / HTTP/1.1')],
  ['a method that is a version of SSH, with bare line feeds', 'SSH-2.0-x / HTTP/1.1\nHost: evil.example\n\n'],
  ['a request behind what begins like SSH', `SSH-${'x'.repeat(300)}${get('Host: evil.example')}`],
];

test.each(refused)('%s', async (_name, request) => {
  await using guest = await openHostileGuest();
  const attempt = await guest.ask(allowed, '80');
  expect(attempt.status).toBe(200);
  const back = await guest.say(attempt, request);
  expect(back === '' || /^HTTP\/1\.1 4\d\d /.test(back)).toBe(true);
  expect(guest.reached()).toBe('');
  expect(await guest.recorded()).toMatchObject({ host: allowed, port: 80, outcome: 'refused' });
});

test('SSH passes as it is, also when its first line comes in pieces', async () => {
  await using guest = await openHostileGuest();
  const { stream } = await guest.ask(allowed, '22');
  const [line, key] = ['SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n', '\0\0\x05'];
  for (const piece of [line.slice(0, 12), line.slice(12), key]) stream.write(Buffer.from(piece, 'latin1'));
  await until('all of it came', () => guest.reached() === line + key);
});

test('a second request of the connection that names another host', async () => {
  await using guest = await openHostileGuest({ host: answerAll });
  const attempt = await guest.ask(allowed, '80');
  const back = await guest.say(attempt, get(`Host: ${allowed}`) + get('Host: evil.example'));
  expect(back).toMatch(/^HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 403 /);
  expect(guest.reached()).toContain(`host: ${allowed}`);
  expect(guest.reached()).not.toContain('evil');
  expect(await guest.recorded()).toMatchObject({ outcome: 'refused' });
});

test('a request that hides in the body of another stays in the body', async () => {
  await using guest = await openHostileGuest({ host: answerAll });
  const hidden = get('Host: evil.example', 'GET /hidden HTTP/1.1');
  const attempt = await guest.ask(allowed, '80');
  const request = `POST / HTTP/1.1\r\nHost: ${allowed}\r\nConnection: close\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`;
  expect(await guest.say(attempt, request)).toMatch(/^HTTP\/1\.1 200 /);
  expect(guest.reached().toLowerCase()).toContain(`content-length: ${hidden.length}`);
});

test.each([
  [
    'after its first answer',
    'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi',
    /^HTTP\/1\.1 200 [^]*\r\n\r\nhi$/,
  ],
  ['before any answer', '', /^HTTP\/1\.1 502 [^]*The host gave no sound answer\./],
])('requests that wait when the host closes the connection %s end with it', async (_when, answer, expected) => {
  await using guest = await openHostileGuest({ host: (socket) => socket.once('data', () => socket.end(answer)) });
  const attempt = await guest.ask(allowed, '80');
  const back = await guest.say(attempt, get(`Host: ${allowed}`).repeat(3));
  expect(back).toMatch(expected);
  expect(back.match(/HTTP\/1\.1/g)).toHaveLength(1);
});

test('more requests than may wait for their answers on one connection', async () => {
  await using guest = await openHostileGuest();
  const attempt = await guest.ask(allowed, '80');
  expect(await guest.say(attempt, get(`Host: ${allowed}`).repeat(17))).toBe('');
  expect(await guest.recorded()).toMatchObject({ outcome: 'refused', reason: expect.stringContaining('More than 16') });
});

test('as many requests as may wait are answered, in their order', async () => {
  await using guest = await openHostileGuest({ host: answerAll });
  const attempt = await guest.ask(allowed, '80');
  const requests = get(`Host: ${allowed}`).repeat(15) + get(`Host: ${allowed}\r\nConnection: close`);
  expect((await guest.say(attempt, requests)).match(/HTTP\/1\.1 200/g)).toHaveLength(16);
});

test('a body without framing reaches nobody as a request of its own', async () => {
  await using guest = await openHostileGuest({ host: answerAll });
  const attempt = await guest.ask(allowed, '80');
  const back = await guest.say(attempt, `${get(`Host: ${allowed}`)}GET /hidden HTTP/1.1\r\nHost: evil.example\r\n\r\n`);
  expect(back).toMatch(/^HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 403 /);
  expect(guest.reached()).not.toContain('hidden');
});

test.each([
  ['a length that Connection calls hop-by-hop', 'Content-Length'],
  ['a Host that Connection calls hop-by-hop', 'Host'],
])('%s is passed on all the same', async (_name, header) => {
  await using guest = await openHostileGuest({ host: answerAll });
  const attempt = await guest.ask(allowed, '80');
  const request = `POST / HTTP/1.1\r\nHost: ${allowed}\r\nConnection: close, ${header}\r\nContent-Length: 4\r\n\r\nbody`;
  await guest.say(attempt, request);
  expect(guest.reached().toLowerCase()).toMatch(/host: allowed\.example[\s\S]*content-length: 4[\s\S]*\r\n\r\nbody$/);
});

test('a request to change to another protocol is passed on as one that does not ask for it', async () => {
  await using guest = await openHostileGuest({ host: answerAll });
  const attempt = await guest.ask(allowed, '80');
  await guest.say(attempt, get(`Host: ${allowed}\r\nConnection: Upgrade, close\r\nUpgrade: h2c`));
  expect(guest.reached().toLowerCase()).not.toContain('upgrade');
});

test('a head that never comes to its end is given up', async () => {
  await using guest = await openHostileGuest({ limits: { helloTimeoutMs: 300 } });
  const attempt = await guest.ask(allowed, '80');
  await guest.say(attempt, `GET / HTTP/1.1\r\nHost: ${allowed}\r\nX-Slow: `);
  expect(guest.reached()).toBe('');
  await guest.recorded();
});

test('a redirect to the metadata service is told to the program, and followed by nobody', async () => {
  const redirect =
    'HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';
  await using guest = await openHostileGuest({ host: (socket) => socket.once('data', () => socket.end(redirect)) });
  const attempt = await guest.ask(allowed, '80');
  expect(await guest.say(attempt, get(`Host: ${allowed}`))).toContain('http://169.254.169.254/');
  expect(guest.dialled).toHaveLength(1);
  const next = await guest.ask('169.254.169.254', '80');
  expect(next.status).toBe(403);
});

test('plain HTTP to an internal host must name it as well', async () => {
  await using guest = await openHostileGuest();
  guest.policy.rule = () => internal;
  const attempt = await guest.ask('git.corp.example', '80');
  expect(await guest.say(attempt, get('Host: other.corp.example'))).toMatch(/^HTTP\/1\.1 403 /);
  expect(guest.reached()).toBe('');
});

function answerAll(socket: Socket): void {
  socket.on('data', () => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
  socket.on('end', () => void socket.end());
}
