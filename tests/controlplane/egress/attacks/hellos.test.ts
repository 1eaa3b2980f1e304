import { connect as dial, type Socket } from 'node:net';
import { connect, createSecureContext, createServer } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { testAuthority, testCertificate } from '../../../doubles/internet/certificates.ts';
import { until } from '../../../until.ts';
import { listen } from '../egress-fixture.ts';
import {
  encryptedClientHelloType,
  encryptedServerNameType,
  extension,
  hello,
  helloMessage,
  hostHello,
  number,
  record,
  serverName,
  serverNames,
  serverNameType,
  sized,
} from './hello-bytes.ts';
import { leave, openHostileGuest, publicAddress } from './hostile-guest.ts';

const allowed = 'allowed.example';

/** Each ends before the host has got a byte. */
const refused: readonly (readonly [name: string, ...pieces: readonly Buffer[]])[] = [
  ['a hello without a name', hello()],
  ['a hello that names another host', hello(serverName('evil.example'))],
  ['a hello that names a host under the allowed one', hello(serverName('sub.allowed.example'))],
  ['a hello that names the host above the allowed one', hello(serverName('example'))],
  ['a name with a dot at its end', hello(serverName('allowed.example.'))],
  ['a name with a NUL in it', hello(serverName('allowed.example\0.evil.example'))],
  ['a name with a space before it', hello(serverName(' allowed.example'))],
  ['a name of what looks alike', hello(serverName('\xe4llowed.example'))],
  ['an address for a name', hello(serverName(publicAddress))],
  ['an empty name', hello(serverName(''))],
  ['an empty list of names', hello(extension(serverNameType, sized(2)))],
  ['an empty extension for names', hello(extension(serverNameType, Buffer.alloc(0)))],
  ['two names, the allowed one first', hello(serverNames([0, allowed], [0, 'evil.example']))],
  ['two names, the allowed one last', hello(serverNames([0, 'evil.example'], [0, allowed]))],
  ['a name of another type before the allowed one', hello(serverNames([1, 'evil.example'], [0, allowed]))],
  ['the extension twice', hello(serverName(allowed), serverName('evil.example'))],
  [
    'something behind the list of names',
    hello(
      extension(
        serverNameType,
        Buffer.concat([sized(2, number(0, 1), sized(2, Buffer.from(allowed))), Buffer.from('x')]),
      ),
    ),
  ],
  [
    'another extension twice',
    hello(serverName(allowed), extension(43, Buffer.alloc(3)), extension(43, Buffer.alloc(3))),
  ],
  [
    'an encrypted hello (ECH) behind the allowed name',
    hello(serverName(allowed), extension(encryptedClientHelloType, Buffer.alloc(64))),
  ],
  [
    'an encrypted name (ESNI) beside the allowed name',
    hello(serverName(allowed), extension(encryptedServerNameType, Buffer.alloc(64))),
  ],
  ['lengths that do not add up', hello(serverName(allowed)).fill(0xff, 43, 45)],
  ['a hello of 16 MiB', record(Buffer.concat([Buffer.from([1, 0xff, 0xff, 0xff]), Buffer.alloc(16_000)]))],
  ['a record of no length', Buffer.from([0x16, 3, 1, 0, 0, 1, 0, 0, 0])],
  ['a record of 64 KiB', Buffer.from([0x16, 3, 1, 0xff, 0xff, 1, 0, 0, 0])],
  [
    'a hello behind another handshake message',
    record(Buffer.concat([Buffer.from([0, 0, 0, 0]), helloMessage(serverName(allowed))])),
  ],
  [
    'two hellos in one record',
    record(Buffer.concat([helloMessage(serverName(allowed)), helloMessage(serverName('evil.example'))])),
  ],
  ['another version in the record', Buffer.concat([Buffer.from([0x16, 2]), hello(serverName(allowed)).subarray(2)])],
  [
    'an alert in the middle of the hello',
    Buffer.concat([
      record(helloMessage(serverName(allowed)).subarray(0, 20)),
      record(Buffer.from([1, 0]), 0x15),
      record(helloMessage(serverName(allowed)).subarray(20)),
    ]),
  ],
  [
    'a hello in hundreds of records',
    ...Array.from(helloMessage(serverName(allowed)), (byte) => record(Buffer.from([byte]))),
  ],
  ['an alert before the hello', record(Buffer.from([1, 0]), 0x15), hello(serverName(allowed))],
  ['a hello of SSL 2', Buffer.from('802e0100020015000000100100800300800700c0060040020080040080', 'hex')],
  ['bytes that are nothing', Buffer.from('\x00\x01\x02\x03\r\n\r\n', 'latin1')],
];

test.each(refused)('%s', async (_name, ...pieces) => {
  await using guest = await openHostileGuest();
  const attempt = await guest.ask(allowed);
  expect(attempt.status).toBe(200);
  await guest.say(attempt, pieces.length === 1 ? (pieces[0] ?? '') : pieces);
  expect(guest.reached()).toBe('');
  expect(await guest.recorded()).toMatchObject({
    host: allowed,
    outcome: 'refused',
    reason: expect.stringMatching(/./),
  });
});

test.each([
  ['a hello that names a host, on the way to an address', hello(serverName('evil.example')), 403],
  ['a hello that names the address itself otherwise', hello(serverName('93.184.216.034')), 403],
])('%s', async (_name, bytes) => {
  await using guest = await openHostileGuest();
  const attempt = await guest.ask(publicAddress);
  await guest.say(attempt, bytes);
  expect(guest.reached()).toBe('');
  expect(await guest.recorded()).toMatchObject({ outcome: 'refused' });
});

test('a hello that never comes to its end is given up', async () => {
  await using guest = await openHostileGuest({ limits: { helloTimeoutMs: 300 } });
  const attempt = await guest.ask(allowed);
  await guest.say(attempt, hello(serverName(allowed)).subarray(0, 40));
  expect(guest.reached()).toBe('');
  expect(await guest.recorded()).toMatchObject({ outcome: 'over_limit' });
});

test('a hello that comes a byte at a time for too long is given up', async () => {
  await using guest = await openHostileGuest();
  const attempt = await guest.ask(allowed);
  const padded = hello(serverName(allowed), extension(21, Buffer.alloc(2_000)));
  await guest.say(
    attempt,
    Array.from(padded, (byte) => Buffer.from([byte])),
  );
  expect(guest.reached()).toBe('');
  expect(await guest.recorded()).toMatchObject({ outcome: 'refused' });
});

test('a hello that is cut in its middle', async () => {
  await using guest = await openHostileGuest();
  const attempt = await guest.ask(allowed);
  attempt.stream.write(hello(serverName(allowed)).subarray(0, 40));
  leave(attempt);
  expect(await guest.recorded()).toMatchObject({ outcome: 'closed' });
  expect(guest.reached()).toBe('');
});

test.each([
  [
    'a hello of two records',
    [record(helloMessage(serverName(allowed)).subarray(0, 30)), record(helloMessage(serverName(allowed)).subarray(30))],
  ],
  ['a hello with the name in capitals', [hello(serverName('Allowed.Example'))]],
])('%s is none of them: it goes through unchanged', async (_name, pieces) => {
  await using guest = await openHostileGuest({ host: (socket) => socket.end('welcome') });
  const attempt = await guest.ask(allowed);
  expect(await guest.say(attempt, pieces)).toBe('welcome');
  expect(guest.reached()).toBe(Buffer.concat(pieces).toString('latin1'));
});

test('another hello in the record of the first, which comes later', async () => {
  await using guest = await openHostileGuest();
  const attempt = await guest.ask(allowed);
  const both = Buffer.concat([helloMessage(serverName(allowed)), helloMessage(serverName('evil.example'))]);
  const first = 5 + helloMessage(serverName(allowed)).length;
  await guest.say(attempt, [record(both).subarray(0, first), record(both).subarray(first)]);
  expect(guest.reached()).toBe('');
  expect(await guest.recorded()).toMatchObject({ outcome: 'refused' });
});

describe('of a host that asks for another hello', () => {
  const first = hello(serverName(allowed));
  const asking = hostHello({ asksForAnother: true });
  const cipherChange = record(Buffer.from([1]), 0x14);
  const sentAhead = record(Buffer.alloc(40), 0x17);
  /** Says this once something has come. */
  const answering = (answer: Buffer) => (socket: Socket) => void socket.once('data', () => socket.write(answer));

  test.each<readonly [string, readonly Buffer[]]>([
    ['that names another host', [hello(serverName('evil.example'))]],
    ['without a name', [hello()]],
    ['with an encrypted part', [hello(serverName(allowed), extension(encryptedClientHelloType, Buffer.alloc(64)))]],
    [
      'in two records',
      [
        record(helloMessage(serverName('evil.example')).subarray(0, 30)),
        record(helloMessage(serverName('evil.example')).subarray(30)),
      ],
    ],
    ['behind a change of the cipher', [cipherChange, hello(serverName('evil.example'))]],
    [
      'behind an alert, and what was sent ahead',
      [record(Buffer.from([1, 90]), 0x15), sentAhead, hello(serverName('evil.example'))],
    ],
    ['behind what is no TLS', [Buffer.from('GET / HTTP/1.1'), hello(serverName(allowed))]],
    ['that is nothing', [Buffer.from([0x16, 3, 3, 0, 0])]],
  ])('a second hello %s does not reach it', async (_name, pieces) => {
    await using guest = await openHostileGuest({ host: answering(asking) });
    const attempt = await guest.ask(allowed);
    expect(await guest.say(attempt, [first, ...pieces])).toBe(asking.toString('latin1'));
    expect(guest.reached()).toBe(first.toString('latin1'));
    expect(await guest.recorded()).toMatchObject({ host: allowed, outcome: 'refused' });
  });

  test('a second hello that comes before it has asked is not passed on', async () => {
    await using guest = await openHostileGuest();
    const attempt = await guest.ask(allowed);
    attempt.stream.write(Buffer.concat([first, hello(serverName('evil.example'))]));
    await until('the first is there', () => guest.reached() !== '');
    guest.accepted[0]?.write(asking);
    await guest.say(attempt, []);
    expect(guest.reached()).toBe(first.toString('latin1'));
    expect(await guest.recorded()).toMatchObject({ outcome: 'refused' });
  });

  test('one that never comes is given up', async () => {
    await using guest = await openHostileGuest({ host: answering(asking), limits: { helloTimeoutMs: 300 } });
    const attempt = await guest.ask(allowed);
    await guest.say(attempt, [first]);
    expect(await guest.recorded()).toMatchObject({ outcome: 'over_limit' });
  });

  test('what follows goes through where the second one names it, and where it does not ask', async () => {
    const second = hello(serverName(allowed), extension(51, Buffer.alloc(2)));
    for (const [answer, pieces] of [
      [asking, [first, cipherChange, second, sentAhead]],
      [hostHello({ asksForAnother: false }), [first, cipherChange, sentAhead]],
      [Buffer.concat([record(Buffer.from([1, 112]), 0x15), asking]), [first, second, sentAhead]],
    ] as const) {
      await using guest = await openHostileGuest({ host: answering(answer) });
      const attempt = await guest.ask(allowed);
      const said = guest.say(attempt, pieces);
      const whole = Buffer.concat(pieces).toString('latin1');
      await until('all of it is there', () => guest.reached() === whole);
      guest.accepted[0]?.end();
      expect(await said).toBe(answer.toString('latin1'));
    }
  });

  test('the handshake of a real program comes to its end, with one hello and with two', async () => {
    const context = createSecureContext(testCertificate);
    const server = createServer({
      ...testCertificate,
      ecdhCurve: 'P-521',
      SNICallback: (_name, done) => done(null, context),
    });
    server.on('secureConnection', (socket) => socket.end('welcome'));
    await using real = await listen(server);
    for (const [hellos, ecdhCurve] of [
      [1, 'P-521'],
      [2, 'X25519:P-521'],
    ] as const) {
      await using guest = await openHostileGuest({
        host: (socket) => void socket.pipe(dial(real.port, '127.0.0.1')).pipe(socket),
      });
      const { stream } = await guest.ask('a.caisson.test');
      const program = connect({ socket: stream, servername: 'a.caisson.test', ca: testAuthority, ecdhCurve });
      let said = '';
      for await (const chunk of program) said += String(chunk);
      expect(said).toBe('welcome');
      expect(guest.reached().split('a.caisson.test')).toHaveLength(hellos + 1);
    }
  });
});
