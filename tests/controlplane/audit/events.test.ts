import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AuditRecord } from '../../../src/controlplane/audit/record.ts';
import type { Audit } from '../../../src/controlplane/audit/open-audit.ts';
import { newAgentId, newUserId } from '../../../src/kernel/ids.ts';
import { SteeredClock } from '../egress/policy/steered-clock.ts';
import { type LoggedLine, recordingLogger } from '../recording-logger.ts';
import { AuditFixture, recordSome, year } from './audit-fixture.ts';

let fixture: AuditFixture;
beforeEach(() => void (fixture = new AuditFixture()));
afterEach(() => fixture[Symbol.asyncDispose]());

async function records(audit: Audit): Promise<readonly AuditRecord[]> {
  return (await audit.service.search({}, { limit: 200, cursor: null })).items.toReversed();
}

test('sessions have a record each, with who and from where', async () => {
  const { audit } = await fixture.open();
  const by = { userId: newUserId(), userName: 'ada' };
  for (const action of ['session.created', 'session.ended'] as const) {
    await audit.trail.record({ action, by, address: '203.0.113.9', details: { how: 'password' } });
    await audit.trail.record({ action, by, address: '203.0.113.9', details: { how: 'password' } });
  }
  const found = await records(audit);
  expect(found.map(({ action }) => action)).toEqual([
    'session.created',
    'session.created',
    'session.ended',
    'session.ended',
  ]);
  expect(found[0]).toMatchObject({
    ...by,
    keyId: null,
    address: '203.0.113.9',
    outcome: 'ok',
    details: { how: 'password' },
  });
});

test('refused logins and uses of secrets are counted, told apart by what they are about', async () => {
  const { audit } = await fixture.open();
  const agentId = newAgentId();
  for (let each = 0; each < 50; each++) {
    await audit.trail.record({ action: 'secret.used', agentId, details: { host: 'git.example.com', name: 'git' } });
    await audit.trail.record({ action: 'secret.used', agentId, details: { host: 'npm.example.com', name: 'npm' } });
    await audit.trail.record({ action: 'session.refused', address: '203.0.113.9', outcome: 'UNAUTHORIZED' });
  }
  expect((await records(audit)).map(({ action, count }) => `${action} ${count}`)).toEqual([
    'secret.used 1',
    'secret.used 1',
    'session.refused 1',
  ]);
  audit.trail.recordCounts();
  const counted = (await records(audit)).slice(3);
  expect(counted).toMatchObject([
    { action: 'secret.used', count: 49, agentId, details: { host: 'git.example.com' } },
    { action: 'secret.used', count: 49, agentId, details: { host: 'npm.example.com' } },
    { action: 'session.refused', count: 49, outcome: 'UNAUTHORIZED', address: '203.0.113.9' },
  ]);
});

test('an agent that uses its secrets in a thousand ways leaves no thousand records', async () => {
  const { audit } = await fixture.open();
  const agentId = newAgentId();
  for (let each = 0; each < 1_000; each++) {
    await audit.trail.record({ action: 'secret.used', agentId, details: { host: `${each}.example.com` } });
  }
  audit.trail.recordCounts();
  const found = await records(audit);
  expect(found).toHaveLength(33);
  expect(found.at(-1)).toMatchObject({ action: 'secret.used', agentId, count: 1_000 - 32, details: {} });
});

test('the head goes to the log each hour and at the end; by it a tail that was cut off with its head shows', async () => {
  const log: LoggedLine[] = [];
  const clock = new SteeredClock();
  const { audit } = await fixture.open(clock, year, recordingLogger(log));
  clock.advance(3_600_000); // without records there is no head
  await recordSome(audit, 2);
  clock.advance(3_600_000);
  clock.advance(3_600_000);
  await recordSome(audit, 2);
  await fixture.close();
  const heads = log.filter(({ message }) => message === 'the head of the audit').map(({ fields }) => fields['head']);
  expect(heads.map((head) => String(head).split(':')[0])).toEqual(['2', '4']);

  await fixture.tamper(
    'delete from audit_records where seq > 3',
    'update audit_head set seq = 3, hash = (select hash from audit_records where seq = 3)',
  );
  const { audit: reopened } = await fixture.open(clock);
  expect(await reopened.service.verify()).toMatchObject({ broken: null, head: { seq: 3 } });
  const [seq, hash = ''] = String(heads[1]).split(':');
  expect(await reopened.service.verify({ seq: Number(seq), hash })).toMatchObject({
    broken: { seq: 4, reason: 'missing' },
    knownHeadFound: false,
  });
});
