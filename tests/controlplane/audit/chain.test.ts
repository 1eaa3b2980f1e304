import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/kernel/clock.ts';
import { SteeredClock } from '../egress/policy/steered-clock.ts';
import { aCall, AuditFixture, recordSome, year } from './audit-fixture.ts';

let fixture: AuditFixture;
beforeEach(() => void (fixture = new AuditFixture()));
afterEach(() => fixture[Symbol.asyncDispose]());

test('a chain that nobody touched is whole, also after a new start', async () => {
  const first = await fixture.open();
  await recordSome(first.audit, 3);
  expect(await first.audit.service.verify()).toMatchObject({ broken: null, records: 3, head: { seq: 3 } });
  await fixture.close();
  const { audit } = await fixture.open();
  await recordSome(audit, 2);
  expect(await audit.service.verify()).toMatchObject({ broken: null, records: 5, head: { seq: 5 }, prunedThrough: 0 });
});

test('an empty chain is whole', async () => {
  const { audit } = await fixture.open();
  expect(await audit.service.verify()).toMatchObject({ broken: null, records: 0, head: { seq: 0 } });
});

describe('somebody with the database changes ten records', () => {
  const swap = (a: number, b: number): string[] => [
    `update audit_records set seq = -1 where seq = ${a}`,
    `update audit_records set seq = ${a} where seq = ${b}`,
    `update audit_records set seq = ${b} where seq = -1`,
  ];
  test.each<[string, string[], { seq: number; reason: string }]>([
    [
      'edits who did it',
      [`update audit_records set body = replace(body, 'ada', 'eve') where seq = 4`],
      { seq: 4, reason: 'altered' },
    ],
    [
      'edits its hash',
      [`update audit_records set hash = '${'a'.repeat(64)}' where seq = 4`],
      { seq: 4, reason: 'altered' },
    ],
    [
      'hides it from searches',
      [`update audit_records set user_id = null where seq = 4`],
      { seq: 4, reason: 'altered' },
    ],
    ['makes it older', [`update audit_records set at = at - 1 where seq = 4`], { seq: 4, reason: 'altered' }],
    ['makes it no JSON', [`update audit_records set body = 'x' where seq = 4`], { seq: 4, reason: 'altered' }],
    ['deletes one', [`delete from audit_records where seq = 4`], { seq: 4, reason: 'missing' }],
    ['deletes the first', [`delete from audit_records where seq = 1`], { seq: 1, reason: 'missing' }],
    ['deletes the last', [`delete from audit_records where seq = 10`], { seq: 10, reason: 'missing' }],
    ['deletes the last three', [`delete from audit_records where seq > 7`], { seq: 8, reason: 'missing' }],
    ['deletes all', [`delete from audit_records`], { seq: 1, reason: 'missing' }],
    [
      'cuts it off, and says that it ends there',
      [
        `delete from audit_records where seq > 7`,
        `update audit_head set seq = 7, hash = (select hash from audit_records where seq = 7)`,
      ],
      { seq: 8, reason: 'missing' },
    ],
    ['swaps two', swap(4, 5), { seq: 4, reason: 'altered' }],
    [
      'closes the gap of one that it deleted',
      [`delete from audit_records where seq = 4`, `update audit_records set seq = seq - 1 where seq > 4`],
      { seq: 4, reason: 'altered' },
    ],
    [
      'puts one in',
      [
        `update audit_records set seq = -seq where seq > 4`,
        `update audit_records set seq = 1 - seq where seq < 0`,
        `insert into audit_records select 5, at, user_id, agent_id, action, body, hash from audit_records where seq = 4`,
      ],
      { seq: 5, reason: 'altered' },
    ],
    [
      'adds one behind the last',
      [
        `insert into audit_records select 11, at, user_id, agent_id, action, body, hash from audit_records where seq = 4`,
      ],
      { seq: 11, reason: 'altered' },
    ],
    [
      'says that the beginning was pruned',
      [`delete from audit_records where seq <= 3`, `update audit_head set pruned_through = 3`],
      { seq: 1, reason: 'missing' },
    ],
  ])('%s: verify names the first record that does not fit', async (_what, statements, broken) => {
    const { audit } = await fixture.open();
    await recordSome(audit, 10);
    const { head } = await audit.service.verify();
    await fixture.tamper(...statements);
    const { audit: reopened } = await fixture.open();
    expect(await reopened.service.verify(head)).toMatchObject({ broken });
    await recordSome(reopened, 2);
    expect((await reopened.service.verify(head)).broken).not.toBeNull();
  });
});

test('a chain that was made anew shows to who noted down a head before', async () => {
  const { audit } = await fixture.open();
  await recordSome(audit, 4);
  const { head } = await audit.service.verify();
  await fixture.tamper('delete from audit_records', 'delete from audit_head');
  const { audit: anew } = await fixture.open();
  await recordSome(anew, 6);
  expect(await anew.service.verify()).toMatchObject({ broken: null, knownHeadFound: null });
  expect(await anew.service.verify(head)).toMatchObject({
    broken: { seq: 4, reason: 'replaced' },
    knownHeadFound: false,
  });
  const { head: later } = await anew.service.verify();
  expect(await anew.service.verify(later)).toMatchObject({ broken: null, knownHeadFound: true });
});

test('the store itself neither changes nor deletes a record', async () => {
  const { audit, storage } = await fixture.open();
  await recordSome(audit, 2);
  const [link] = await storage.audit.readLinks(0, 1);
  await fixture.close();
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(`${fixture.directory.path}/caisson.db`);
  expect(() => database.exec(`update audit_records set body = '' where seq = 1`)).toThrow('cannot be changed');
  expect(() => database.exec(`delete from audit_records where seq = 1`)).toThrow('can only be pruned');
  database.close();
  const { storage: reopened } = await fixture.open();
  expect(await reopened.audit.readLinks(0, 1)).toEqual([link]);
});

test('records that end at the same time are one chain, each once', async () => {
  const { audit } = await fixture.open();
  const entries = await Promise.all(Array.from({ length: 300 }, () => audit.trail.begin(aCall())));
  await Promise.all(entries.map((entry) => entry.end({ outcome: 'ok' })));
  expect(await audit.service.verify()).toMatchObject({ broken: null, records: 300 });
});

test('what is exported can be verified by anybody', async () => {
  const { audit } = await fixture.open();
  await recordSome(audit, 1_100);
  let text = '';
  for await (const part of audit.service.export(0)) text += part;
  const lines = text.trimEnd().split('\n');
  expect(lines).toHaveLength(1_100);
  let previous = '0'.repeat(64);
  for (const line of lines) {
    const { hash, previous: said, record } = JSON.parse(line) as { hash: string; previous: string; record: unknown };
    expect(said).toBe(previous);
    const body = line.slice(line.indexOf('"record":') + '"record":'.length, -1);
    expect(JSON.parse(body)).toEqual(record);
    expect(createHash('sha256').update(`${previous}\n${body}`).digest('hex')).toBe(hash);
    previous = hash;
  }
  const rest: string[] = [];
  for await (const part of audit.service.export(1_099)) rest.push(part);
  expect(rest.join('')).toBe(`${lines.at(-1)}\n`);
});

describe('retention', () => {
  const day = 86_400_000;
  const at = (now: number) => ({ ...systemClock, now: () => now });

  test('forgets the oldest; what is left is verified from its anchor on, also when it is pruned again', async () => {
    const t0 = Date.now();
    await recordSome((await fixture.open(at(t0))).audit, 2_100);
    await fixture.close();
    const { audit: second } = await fixture.open(at(t0 + 10 * day));
    await recordSome(second, 5);
    const { head } = await second.service.verify();
    await fixture.close();

    const { audit: third } = await fixture.open(at(t0 + 15 * day), 10 * day);
    for (let hours = 0; hours < 2; hours++) await third.retention.look();
    const kept = await third.service.verify(head);
    expect(kept).toMatchObject({ broken: null, prunedThrough: 2_100, knownHeadFound: true });
    const { items } = await third.service.search({ action: 'audit.prune' }, { limit: 10, cursor: null });
    expect(items.map(({ details }) => details['through'])).toEqual([2_100, 2_000]);
    await fixture.close();

    const { audit: fourth } = await fixture.open(at(t0 + 40 * day), 10 * day);
    for (let hours = 0; hours < 2; hours++) await fourth.retention.look();
    await recordSome(fourth, 1);
    expect(await fourth.service.verify(head)).toMatchObject({ broken: null, records: 2, knownHeadFound: null });
  });

  test('a record that is taken out behind the anchor shows', async () => {
    const t0 = Date.now();
    await recordSome((await fixture.open(at(t0))).audit, 3);
    await fixture.close();
    await recordSome((await fixture.open(at(t0 + 10 * day))).audit, 3);
    await fixture.close();
    const { retention } = (await fixture.open(at(t0 + 15 * day), 10 * day)).audit;
    for (let hours = 0; hours < 2; hours++) await retention.look();
    await fixture.tamper('delete from audit_records where seq = 4');
    const { audit } = await fixture.open(at(t0 + 15 * day), year);
    expect(await audit.service.verify()).toMatchObject({ broken: { seq: 4, reason: 'missing' }, prunedThrough: 3 });
  });

  test('nothing is forgotten while somebody walks the chain', async () => {
    let now = Date.now();
    const { audit } = await fixture.open({ ...systemClock, now: () => now }, 10 * day);
    await recordSome(audit, 3);
    now += 20 * day;
    const walk = audit.service.export(0);
    await walk.next();
    await audit.retention.look();
    expect(await audit.service.verify()).toMatchObject({ broken: null, records: 3, prunedThrough: 0 });
    await walk.return();
    for (let hours = 0; hours < 2; hours++) await audit.retention.look();
    expect(await audit.service.verify()).toMatchObject({ broken: null, records: 1, prunedThrough: 3 });
  });

  test('a clock that is ahead, at the start or between, costs no record unless it stays so', async () => {
    const hour = 3_600_000;
    const clock = new SteeredClock();
    await recordSome((await fixture.open(clock)).audit, 3);
    await fixture.close();

    clock.jump(year);
    const { audit } = await fixture.open(clock, 10 * day);
    clock.jump(-year);
    for (const jump of [0, year, -year, year, 0]) {
      expect(await audit.service.verify()).toMatchObject({ broken: null, records: 3, prunedThrough: 0 });
      clock.jump(jump);
      clock.advance(hour);
    }
    await audit.retention.look();
    expect(await audit.service.verify()).toMatchObject({ broken: null, records: 1, prunedThrough: 3 });
  });

  test('a control plane that is started anew every ten minutes forgets too, and believes the clock no sooner', async () => {
    const clock = new SteeredClock();
    const runFor = async (minutes: number): Promise<number> => {
      for (let ran = 0; ran < minutes; ran += 10) {
        const { audit } = await fixture.open(clock, 10 * day);
        clock.advance(600_000);
        await audit.service.verify(); // waits for what is being forgotten
        await fixture.close();
      }
      const { audit } = await fixture.open(clock, 10 * day);
      const { prunedThrough } = await audit.service.verify();
      await fixture.close();
      return prunedThrough;
    };
    await recordSome((await fixture.open(clock)).audit, 3);
    await fixture.close();
    clock.jump(year);
    expect(await runFor(50)).toBe(0);
    clock.jump(-year);
    expect(await runFor(120)).toBe(0);
    clock.jump(20 * day);
    expect(await runFor(240)).toBe(3);
  });
});
