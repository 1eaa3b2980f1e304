import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { userAccount } from '../../../src/controlplane/quotas/account.ts';
import type { Reservation } from '../../../src/controlplane/quotas/ledger.ts';
import { newUserId } from '../../../src/kernel/ids.ts';
import { startProcess } from '../storage/child-process.ts';
import { hour, TestLedger, user } from './ledger-fixture.ts';

const minute = { expiresInMs: 60_000 };
const tokens = (amount: number, account = user) => ({ account, dimension: 'tokens', amount }) as const;

test('200 parallel reservations against a limit of 10 leave exactly 10', async () => {
  await using test = await TestLedger.open();
  const { ledger } = test;
  test.limits.set(user, { tokens: 10 });
  const outcomes = await Promise.allSettled(Array.from({ length: 200 }, () => ledger.reserve([tokens(1)], minute)));
  const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
  expect(refused.length).toBe(190);
  for (const { reason } of refused) {
    expect(reason).toMatchObject({
      code: 'QUOTA_EXCEEDED',
      details: { of: 'user', dimension: 'tokens', limit: 10, used: 0, reserved: 10, asked: 1 },
    });
  }
  expect(await ledger.remaining(user, 'tokens')).toBe(0);
});

test('a refusal names the limit, what is used, what does not fit into the rest, and when that is over', async () => {
  await using test = await TestLedger.open('2026-03-10T12:00:00Z');
  test.limits.set(user, { cost: 500_000 });
  const spent = await test.ledger.reserve([{ account: user, dimension: 'cost', amount: 499_900 }], minute);
  await spent.settle([{ account: user, dimension: 'cost', amount: 499_900 }]);
  await expect(test.ledger.reserve([{ account: user, dimension: 'cost', amount: 200 }], minute)).rejects.toMatchObject({
    code: 'QUOTA_EXCEEDED',
    message: 'The cost quota of this user has no room: $0.4999 of $0.50 are used; this needs $0.0002 more.',
    hint: expect.stringContaining('2026-03-11T00:00:00.000Z'),
    details: {
      dimension: 'cost',
      limit: 500_000,
      used: 499_900,
      reserved: 0,
      asked: 200,
      resetsAt: Date.parse('2026-03-11'),
    },
  });
});

test('a refusal of bytes says sizes, and the exact numbers for programs', async () => {
  await using test = await TestLedger.open();
  test.limits.set(user, { egress_bytes: 64 * 1_024 ** 2 });
  const charge = { account: user, dimension: 'egress_bytes', amount: 60 * 1_024 ** 2 } as const;
  await (await test.ledger.reserve([charge], minute)).settle([charge]);
  await expect(test.ledger.reserve([{ ...charge, amount: 5_000_000 }], minute)).rejects.toMatchObject({
    message: 'The egress_bytes quota of this user has no room: 60 MiB of 64 MiB are used; this needs 4.8 MiB more.',
    details: { limit: 67_108_864, used: 62_914_560, asked: 5_000_000 },
  });
});

test('several charges are taken as a whole or not at all', async () => {
  await using test = await TestLedger.open();
  const { account: agent } = await test.agent();
  test.limits.set(user, { tokens: 100 }).set(agent, { tokens: 10 });
  await expect(test.ledger.reserve([tokens(20), tokens(20, agent)], minute)).rejects.toMatchObject({
    details: { of: 'agent' },
  });
  expect(await test.ledger.remaining(user, 'tokens')).toBe(100);
  await test.ledger.reserve([tokens(10), tokens(10, agent)], minute);
  expect(await test.ledger.remaining(user, 'tokens')).toBe(90);
  expect(await test.ledger.remaining(agent, 'tokens')).toBe(0);
});

test('charges of the same account in one reservation add up', async () => {
  await using test = await TestLedger.open();
  test.limits.set(user, { tokens: 10 });
  await expect(test.ledger.reserve([tokens(6), tokens(6)], minute)).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
});

test('what is settled is counted, and the rest of the reservation is free again', async () => {
  await using test = await TestLedger.open();
  test.limits.set(user, { tokens: 10 });
  const reservation = await test.ledger.reserve([tokens(10)], minute);
  await reservation.settle([tokens(3)]);
  expect(await test.ledger.remaining(user, 'tokens')).toBe(7);
  await reservation.release();
  await reservation.settle([tokens(3)]);
  expect(await test.ledger.remaining(user, 'tokens')).toBe(7);
});

test('a settlement above its reservation is counted as it happened', async () => {
  await using test = await TestLedger.open();
  test.limits.set(user, { tokens: 10 });
  const reservation = await test.ledger.reserve([tokens(5)], minute);
  await reservation.settle([tokens(12)]);
  expect(await test.ledger.balance(user, 'tokens')).toMatchObject({ used: 12, reserved: 0 });
  expect(await test.ledger.remaining(user, 'tokens')).toBe(0);
});

test('an account without a limit is counted all the same', async () => {
  await using test = await TestLedger.open();
  const reservation = await test.ledger.reserve([tokens(1_000_000_000)], minute);
  await reservation.settle([tokens(900_000_000)]);
  expect(await test.ledger.remaining(user, 'tokens')).toBe(null);
  expect(await test.ledger.balance(user, 'tokens')).toMatchObject({ used: 900_000_000 });
});

test('a reservation that nobody ends gives its room back when it expires', async () => {
  await using test = await TestLedger.open();
  test.limits.set(user, { tokens: 10 });
  const forgotten = await test.ledger.reserve([tokens(10)], minute);
  test.clock.pass(59_999);
  expect(await test.ledger.remaining(user, 'tokens')).toBe(0);
  test.clock.pass(1);
  expect(await test.ledger.remaining(user, 'tokens')).toBe(10);
  await forgotten.settle([tokens(4)]);
  expect(await test.ledger.remaining(user, 'tokens')).toBe(6);
});

test('a reservation is extended in time and in amount, or stays as it was', async () => {
  await using test = await TestLedger.open();
  test.limits.set(user, { tokens: 10 });
  const reservation = await test.ledger.reserve([tokens(4)], minute);
  test.clock.pass(50_000);
  await reservation.extend({ expiresInMs: 60_000, more: [tokens(4)] });
  test.clock.pass(50_000);
  expect(await test.ledger.remaining(user, 'tokens')).toBe(2);
  await expect(reservation.extend({ expiresInMs: 60_000, more: [tokens(3)] })).rejects.toMatchObject({
    code: 'QUOTA_EXCEEDED',
  });
  expect(await test.ledger.remaining(user, 'tokens')).toBe(2);
  test.clock.pass(60_000);
  await test.ledger.reserve([tokens(9)], minute);
  await expect(reservation.extend({ expiresInMs: 60_000 })).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
});

test('a clock that jumps neither ends a reservation early nor keeps it', async () => {
  await using test = await TestLedger.open('2026-03-10T12:00:00Z');
  test.limits.set(user, { tokens: 10 });
  await test.ledger.reserve([tokens(10)], minute);
  test.clock.jumpTo('2026-03-10T18:00:00Z');
  expect(await test.ledger.remaining(user, 'tokens')).toBe(0);
  test.clock.jumpTo('2026-03-10T06:00:00Z');
  test.clock.pass(60_000);
  expect(await test.ledger.remaining(user, 'tokens')).toBe(10);
});

test('a clock that was set back between two processes does not keep the reservations of the first', async () => {
  await using test = await TestLedger.open('2027-01-01T12:00:00Z');
  test.limits.set(user, { tokens: 10 });
  await test.ledger.reserve([tokens(10)], minute);
  await test.restart('2026-03-10T12:00:00Z');
  expect(await test.ledger.remaining(user, 'tokens')).toBe(0);
  test.clock.pass(60_000);
  expect(await test.ledger.remaining(user, 'tokens')).toBe(10);
});

test('a window is empty when the next one has begun', async () => {
  await using test = await TestLedger.open('2026-03-10T23:59:00Z');
  test.limits.set(user, { tokens: 10 });
  await (await test.ledger.reserve([tokens(10)], minute)).settle([tokens(10)]);
  expect(await test.ledger.remaining(user, 'tokens')).toBe(0);
  test.clock.pass(60_000);
  expect(await test.ledger.remaining(user, 'tokens')).toBe(10);
});

test('what is reserved before midnight and settled after it is counted to the new day', async () => {
  await using test = await TestLedger.open('2026-03-10T23:59:30Z');
  test.limits.set(user, { tokens: 10 });
  const reservation = await test.ledger.reserve([tokens(6)], minute);
  test.clock.pass(45_000);
  expect(await test.ledger.remaining(user, 'tokens')).toBe(4);
  await reservation.settle([tokens(6)]);
  expect(await test.ledger.remaining(user, 'tokens')).toBe(4);
});

test('a clock that jumps forward and back gives nothing twice', async () => {
  await using test = await TestLedger.open('2026-03-10T12:00:00Z');
  test.limits.set(user, { tokens: 10 });
  await (await test.ledger.reserve([tokens(10)], minute)).settle([tokens(10)]);
  test.clock.jumpTo('2026-03-09T12:00:00Z');
  expect(await test.ledger.remaining(user, 'tokens')).toBe(0);
  test.clock.jumpTo('2026-03-11T12:00:00Z');
  await (await test.ledger.reserve([tokens(10)], minute)).settle([tokens(10)]);
  test.clock.jumpTo('2026-03-10T13:00:00Z');
  expect(await test.ledger.balance(user, 'tokens')).toMatchObject({ used: 10, resetsAt: Date.parse('2026-03-12') });
  test.clock.jumpTo('2026-03-11T13:00:00Z');
  expect(await test.ledger.remaining(user, 'tokens')).toBe(0);
  test.clock.jumpTo('2026-03-12T00:00:00Z');
  expect(await test.ledger.remaining(user, 'tokens')).toBe(10);
});

test.each([
  ['Europe/Berlin, the day that has 23 hours', 'Europe/Berlin', '2026-03-28T23:00:00Z', 23],
  ['Europe/Berlin, the day that has 25 hours', 'Europe/Berlin', '2026-10-24T22:00:00Z', 25],
  ['Asia/Kolkata, half an hour off', 'Asia/Kolkata', '2026-03-10T18:30:00Z', 24],
  ['Australia/Lord_Howe, half an hour less', 'Australia/Lord_Howe', '2026-10-03T13:30:00Z', 23.5],
  ['Africa/Cairo, which begins at 01:00', 'Africa/Cairo', '2026-04-23T22:00:00Z', 23],
])('a day of %s, lasts from midnight to midnight', async (_, timeZone, midnight, hours) => {
  await using test = await TestLedger.open(midnight);
  test.timeZone = timeZone;
  test.limits.set(user, { tokens: 10 });
  const { resetsAt } = await test.ledger.balance(user, 'tokens');
  const begin = Date.parse(midnight);
  expect(resetsAt).toBe(begin + hours * hour);
  await (await test.ledger.reserve([tokens(10)], minute)).settle([tokens(10)]);
  test.clock.pass((resetsAt ?? 0) - begin - 1);
  expect(await test.ledger.remaining(user, 'tokens')).toBe(0);
  test.clock.pass(1);
  expect(await test.ledger.remaining(user, 'tokens')).toBe(10);
});

test('another time zone takes effect with the next window', async () => {
  await using test = await TestLedger.open('2026-03-10T14:00:00Z');
  test.limits.set(user, { tokens: 10 });
  await (await test.ledger.reserve([tokens(10)], minute)).settle([tokens(10)]);
  test.timeZone = 'Asia/Tokyo'; // where it is 23:00
  test.clock.pass(2 * hour);
  expect(await test.ledger.balance(user, 'tokens')).toMatchObject({ used: 10, resetsAt: Date.parse('2026-03-11') });
  test.clock.pass(8 * hour);
  expect(await test.ledger.balance(user, 'tokens')).toMatchObject({
    used: 0,
    resetsAt: Date.parse('2026-03-11T15:00:00Z'),
  });
});

test('use of an agent goes with the agent, also what is settled after that', async () => {
  await using test = await TestLedger.open();
  const { id, account } = await test.agent();
  const [before, after] = [
    await test.ledger.reserve([tokens(1, account)], minute),
    await test.ledger.reserve([tokens(1, account)], minute),
  ];
  await before.settle([tokens(1, account)]);
  expect(await test.ledger.balance(account, 'tokens')).toMatchObject({ used: 1 });
  await test.agents.transaction(async (tx) => await tx.deleteAgent(id));
  expect(await test.ledger.balance(account, 'tokens')).toMatchObject({ used: 0 });
  await after.settle([tokens(1, account), tokens(1)]);
  expect(await test.ledger.balance(account, 'tokens')).toMatchObject({ used: 0, reserved: 0 });
  expect(await test.ledger.balance(user, 'tokens')).toMatchObject({ used: 1 });
});

test('coming near a limit and reaching it are told once each in a window', async () => {
  await using test = await TestLedger.open();
  const { id, account: agent } = await test.agent();
  test.limits.set(user, { tokens: 10 });
  const use = async (amount: number): Promise<void> => {
    const reservation = await test.ledger.reserve([tokens(0), tokens(0, agent)], minute);
    await reservation.settle([tokens(amount), tokens(amount, agent)]);
  };
  for (const amount of [7, 1, 1, 1, 1]) await use(amount);
  expect(test.crossings).toMatchObject([
    { account: user, dimension: 'tokens', mark: 'near', limit: 10, used: 8, agentId: id },
    { account: user, dimension: 'tokens', mark: 'spent', limit: 10, used: 10, agentId: id },
  ]);
  test.clock.pass(24 * hour);
  await use(10);
  expect(test.crossings.slice(2)).toMatchObject([{ mark: 'spent', used: 10 }]);
});

test('a process that is killed between reserve and settle leaves what it settled, and a reservation that expires', async () => {
  await using test = await TestLedger.open(new Date().toISOString());
  const id = newUserId();
  const account = userAccount(id);
  await test.close();
  await using writer = startProcess('tests/controlplane/quotas/writer-process.ts', test.path, id);
  for (const line of ['settled', 'reserved']) expect(await writer.nextLine()).toBe(line);
  await writer.kill();
  await test.restart(new Date().toISOString());
  test.limits.set(account, { tokens: 100 });
  expect(await test.ledger.balance(account, 'tokens')).toMatchObject({ used: 30, reserved: 70 });
  await expect(test.ledger.reserve([tokens(1, account)], minute)).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
  test.clock.pass(60_000);
  expect(await test.ledger.balance(account, 'tokens')).toMatchObject({ used: 30, reserved: 0 });
});

/** One call of a gateway: what it reserves, how much of that it uses, and how many turns of the loop it takes. */
const call = fc.record({
  amount: fc.nat(12),
  share: fc.integer({ min: 0, max: 100 }),
  turns: fc.nat(5),
  end: fc.constantFrom('settle', 'release', 'forget', 'extend'),
});

test('whatever calls do at the same time, what is used and held never passes the limit', async () => {
  await using test = await TestLedger.open();
  await fc.assert(
    fc.asyncProperty(fc.array(call, { maxLength: 40 }), fc.integer({ min: 1, max: 30 }), async (calls, limit) => {
      const account = userAccount(newUserId());
      test.limits.set(account, { tokens: limit });
      let [used, held, refused] = [0, 0, 0];
      const check = (): void => expect(used + held).toBeLessThanOrEqual(limit);
      const turn = async (turns: number): Promise<void> => {
        for (let each = 0; each < turns; each++) await new Promise((resolve) => setImmediate(resolve));
      };
      const make = async ({ amount, share, turns, end }: (typeof calls)[number]): Promise<void> => {
        await turn(turns);
        let reservation: Reservation;
        try {
          reservation = await test.ledger.reserve([tokens(amount, account)], minute);
        } catch (thrown) {
          expect(thrown).toMatchObject({ code: 'QUOTA_EXCEEDED' });
          refused++;
          return;
        }
        held += amount;
        check();
        await turn(turns);
        if (end === 'forget') return;
        let mine = amount;
        if (end === 'extend') {
          const more = { expiresInMs: 60_000, more: [tokens(amount, account)] };
          const isLonger = await reservation.extend(more).then(
            () => true,
            () => false,
          );
          if (isLonger) {
            mine += amount;
            held += amount;
          }
          check();
        }
        const actual = end === 'release' ? 0 : Math.floor((mine * share) / 100);
        // Counted before it is given back: the ledger may give the room to another before this one hears of it.
        used += actual;
        held -= mine;
        if (end === 'release') await reservation.release();
        else await reservation.settle([tokens(actual, account)]);
      };
      await Promise.all(calls.map(make));
      check();
      expect(await test.ledger.balance(account, 'tokens')).toMatchObject({ used, reserved: held });
      const most = calls.reduce((sum, { amount, end }) => sum + (end === 'extend' ? 2 * amount : amount), 0);
      if (most <= limit) expect(refused).toBe(0);
    }),
    { numRuns: 100 },
  );
});
