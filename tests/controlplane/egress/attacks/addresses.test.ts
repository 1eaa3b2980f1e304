import { expect, test } from 'vitest';
import { internal } from '../egress-fixture.ts';
import { openHostileGuest, publicAddress } from './hostile-guest.ts';

/** Every spelling that some program somewhere reads as the address. The rules allow them all by name. */
const notPublic: readonly (readonly [name: string, host: string])[] = [
  ['loopback', '127.0.0.1'],
  ['loopback, not the first', '127.255.255.254'],
  ['loopback, short', '127.1'],
  ['loopback, decimal', '2130706433'],
  ['loopback, octal', '0177.0.0.01'],
  ['loopback, octal in one number', '017700000001'],
  ['loopback, hexadecimal', '0x7f000001'],
  ['loopback, hexadecimal in parts', '0x7F.0.0x0.1'],
  ['loopback, with a dot at its end', '127.0.0.1.'],
  ['loopback, IPv6', '[::1]'],
  ['loopback, IPv6 without brackets', '::1'],
  ['loopback, IPv6 in full', '[0000:0000:0000:0000:0000:0000:0000:0001]'],
  ['loopback, IPv4 mapped into IPv6', '[::ffff:127.0.0.1]'],
  ['loopback, mapped, in hexadecimal', '[::ffff:7f00:1]'],
  ['loopback, IPv4 compatible', '[::127.0.0.1]'],
  ['loopback, through NAT64', '[64:ff9b::7f00:1]'],
  ['loopback, through a local NAT64', '[64:ff9b:1::7f00:1]'],
  ['loopback, through 6to4', '[2002:7f00:1::]'],
  ['loopback, through Teredo', '[2001:0:7f00:1::]'],
  ['any address', '0.0.0.0'],
  ['any address, as a number', '0'],
  ['any address, IPv6', '[::]'],
  ['this network', '0.1.2.3'],
  ['private, 10/8', '10.0.0.1'],
  ['private, 172.16/12', '172.31.255.255'],
  ['private, 192.168/16', '192.168.1.1'],
  ['private, decimal', '3232235777'],
  ['private, IPv6 (ULA)', '[fd12:3456:789a::1]'],
  ['private, mapped into IPv6', '[::ffff:10.0.0.1]'],
  ['metadata', '169.254.169.254'],
  ['metadata, decimal', '2852039166'],
  ['metadata, octal', '0251.0376.0251.0376'],
  ['metadata, hexadecimal', '0xa9fea9fe'],
  ['metadata, mapped into IPv6', '[::ffff:169.254.169.254]'],
  ['metadata of containers', '169.254.170.2'],
  ['metadata, IPv6', '[fd00:ec2::254]'],
  ['metadata of another cloud', '100.100.100.200'],
  ['the machine that hosts the machine', '168.63.129.16'],
  ['carrier-grade NAT', '100.64.0.1'],
  ['link-local, IPv6', '[fe80::1]'],
  ['site-local, IPv6', '[fec0::1]'],
  ['documentation', '203.0.113.80'],
  ['documentation, IPv6', '[2001:db8::1]'],
  ['benchmarks', '198.18.0.1'],
  ['multicast', '224.0.0.1'],
  ['multicast, IPv6', '[ff02::1]'],
  ['broadcast', '255.255.255.255'],
  ['reserved', '240.0.0.1'],
];

test.each(notPublic)('an address that is not public: %s', async (_name, host) => {
  await using guest = await openHostileGuest();
  const { status } = await guest.ask(host);
  expect(status).toBe(403);
  expect(guest.dialled).toEqual([]);
  expect(guest.resolved).toEqual([]);
  expect(await guest.recorded()).toMatchObject({ outcome: 'refused', reason: expect.stringContaining('not public') });
});

/** What is no host, or not the same host to everybody. */
const noHosts: readonly (readonly [name: string, host: string, port?: string])[] = [
  ['nothing', ''],
  ['a user before the host', 'allowed.example@127.0.0.1'],
  ['a path behind it', 'allowed.example/..'],
  ['a query behind it', 'allowed.example?x'],
  ['a fragment behind it', '127.0.0.1#.allowed.example'],
  ['a backslash in it', 'allowed.example\\@127.0.0.1'],
  ['percent signs', '%31%32%37.0.0.1'],
  ['a NUL, percent-encoded', 'localhost%00.allowed.example'],
  ['a port in the host', 'allowed.example:80'],
  ['two dots', 'allowed..example'],
  ['two dots at its end', 'localhost..'],
  ['a dot before it', '.localhost'],
  ['a zone', '[fe80::1%25eth0]'],
  ['half a bracket', '[::1'],
  ['IPv4 in brackets', '[127.0.0.1]'],
  ['a number that is too large', '4294967297'],
  ['a part that is too large', '127.0.0.256'],
  ['a name that ends in a number', 'allowed.example.1'],
  ['an octal that is none', '0189.0.0.1'],
  ['a wildcard', '*.example'],
  ['a label that is too long', `${'a'.repeat(64)}.example`],
  ['a name that is too long', `${'a.'.repeat(130)}example`],
  ['port 0', 'allowed.example', '0'],
  ['a port above 65535', 'allowed.example', '65979'],
  ['a negative port', 'allowed.example', '-1'],
  ['a port with a sign', 'allowed.example', '+443'],
  ['a port in hexadecimal', 'allowed.example', '0x1bb'],
  ['a port with something behind it', 'allowed.example', '443.0'],
  ['no port', 'allowed.example', ''],
];

const withPorts = noHosts.map(([name, host, port = '443']) => [name, host, port] as const);

test.each(withPorts)('no host, or no port: %s', async (_name, host, port) => {
  await using guest = await openHostileGuest();
  const { status } = await guest.ask(host, port);
  expect(status).toBe(400);
  expect([guest.dialled, guest.resolved, guest.policy.asked]).toEqual([[], [], []]);
  expect(await guest.recorded()).toMatchObject({ decision: 'deny', outcome: 'refused' });
});

test.each([
  ['only a private one', ['10.0.0.1']],
  ['loopback', ['127.0.0.1']],
  ['a public one first, and a private one next', [publicAddress, '10.0.0.1']],
  ['a private one that comes last of many', [...Array.from({ length: 50 }, () => publicAddress), '169.254.169.254']],
  ['a public IPv4, and a private IPv6', [publicAddress, 'fd00::1']],
  ['IPv4 mapped into IPv6', ['::ffff:10.0.0.1']],
  ['IPv6 with a zone', ['fe80::1%eth0']],
  ['what is no address', ['localhost']],
  ['10,000 addresses, one of them private', [...Array.from({ length: 9_999 }, () => publicAddress), '192.168.0.1']],
])('a name that leads to %s', async (_name, addresses) => {
  await using guest = await openHostileGuest({ addresses: () => addresses });
  const { status } = await guest.ask('rebound.example');
  expect(status).toBe(403);
  expect(guest.dialled).toEqual([]);
  expect(await guest.recorded()).toMatchObject({
    host: 'rebound.example',
    outcome: 'refused',
    reason: expect.stringContaining('an administrator can name it in CAISSON_EGRESS_INTERNAL'),
  });
});

test('a name whose answer changes after it was checked: what is dialled is what was checked, and it is asked once', async () => {
  let times = 0;
  await using guest = await openHostileGuest({ addresses: () => (times++ === 0 ? [publicAddress] : ['127.0.0.1']) });
  const attempt = await guest.ask('rebound.example');
  expect(attempt.status).toBe(200);
  expect(guest.dialled).toEqual([publicAddress]);
  expect(guest.resolved).toEqual(['rebound.example']);
  const again = await guest.ask('rebound.example');
  expect(again.status).toBe(403);
  expect(guest.dialled).toEqual([publicAddress]);
});

test('a name with 10,000 public addresses: four of them are tried at most', async () => {
  await using guest = await openHostileGuest({
    addresses: () => Array.from({ length: 10_000 }, (_, index) => `8.8.${index >> 8}.${index & 255}`),
  });
  guest.dialled.push = function push(address: string): number {
    Array.prototype.push.call(this, address);
    throw new Error('nobody is there');
  };
  const { status } = await guest.ask('many.example');
  expect(status).toBe(502);
  expect(guest.dialled).toHaveLength(4);
});

test.each(['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', '0.0.0.0'])(
  'a host that an operator has named, and that leads to the control plane by %s',
  async (address) => {
    await using guest = await openHostileGuest({ addresses: () => [address] });
    guest.policy.rule = () => internal;
    guest.ownPorts.add(7070);
    expect((await guest.ask('git.corp.example', '7070')).status).toBe(403);
    expect(guest.dialled).toEqual([]);
    expect(await guest.recorded()).toMatchObject({
      outcome: 'refused',
      reason: expect.stringContaining('control plane'),
    });
  },
);
