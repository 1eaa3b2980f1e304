import { assert, asyncProperty, constantFrom, array } from 'fast-check';
import { expect, test } from 'vitest';
import { AuditLog } from '../../../src/controlplane/audit/audit-log.ts';
import type { AuditBatch } from '../../../src/controlplane/audit/audit-store.ts';
import { genesis, linkHash } from '../../../src/controlplane/audit/chain.ts';
import { CaissonError } from '../../../src/kernel/errors.ts';
import { silentLogger } from '../../../src/kernel/logger.ts';
import { SteeredClock } from '../egress/policy/steered-clock.ts';
import { aCall } from './audit-fixture.ts';

type Step = 'begin' | 'begin in sandbox' | 'end' | 'refuse' | 'event' | 'break' | 'mend' | 'wait' | 'turn';
const steps = array(
  constantFrom<Step[]>('begin', 'begin in sandbox', 'end', 'refuse', 'event', 'break', 'mend', 'wait', 'turn'),
  { maxLength: 60 },
);

/** A store that can be broken, before the batch is asked for or after. */
class FragileStore {
  readonly written: AuditBatch[] = [];
  readonly open = new Set<number>();
  isBroken = false;
  #appends = 0;

  head = async (): Promise<undefined> => undefined;

  async append(take: () => AuditBatch): Promise<void> {
    const breaksLate = this.#appends++ % 2 === 1;
    const failure = new CaissonError('STORAGE_UNAVAILABLE', 'broken');
    await Promise.resolve();
    if (this.isBroken && !breaksLate) throw failure;
    const batch = take();
    await Promise.resolve();
    if (this.isBroken) throw failure;
    this.written.push(batch);
    for (const { id } of batch.opens) this.open.add(id);
    for (const id of batch.closes) expect(this.open.delete(id)).toBe(true);
  }
}

test('whatever fails and in whatever order: what has ended is written once, in its order, in one chain, and nothing stays open', async () => {
  await assert(
    asyncProperty(steps, async (given) => {
      const store = new FragileStore();
      const clock = new SteeredClock();
      const log = await AuditLog.open({ store, flushed: async () => undefined, clock, logger: silentLogger });
      const underWay: { readonly id: number; readonly waits: boolean }[] = [];
      const ended: string[] = [];
      const pending: Promise<unknown>[] = [];
      const draft = (): ReturnType<typeof aCall> & { outcome: 'ok'; count: 1; durationMs: 0 } => {
        const action = `call-${ended.length}`;
        ended.push(action);
        return { ...aCall({ action }), outcome: 'ok', count: 1, durationMs: 0 };
      };
      for (const step of given) {
        switch (step) {
          case 'begin':
          case 'begin in sandbox': {
            const waits = step === 'begin';
            const beginning = waits ? log.open(aCall()) : log.openLater(aCall());
            pending.push(
              beginning.then(
                (id) => underWay.push({ id, waits }),
                (thrown: unknown) => expect(thrown).toBeInstanceOf(CaissonError),
              ),
            );
            break;
          }
          case 'end': {
            const call = underWay.shift();
            if (call === undefined) break;
            if (call.waits) pending.push(log.append(draft(), { closes: call.id }).catch(() => undefined));
            else log.appendLater(draft(), { closes: call.id });
            break;
          }
          case 'refuse': {
            const call = underWay.pop();
            if (call !== undefined) log.close(call.id);
            break;
          }
          case 'event':
            log.appendLater(draft());
            break;
          case 'break':
          case 'mend':
            store.isBroken = step === 'break';
            break;
          case 'wait':
            clock.advance(1_000);
            break;
          case 'turn':
            await new Promise((resolve) => setImmediate(resolve));
        }
      }
      store.isBroken = false;
      await log.settled();
      await Promise.all(pending);
      for (const { id } of underWay) log.close(id);
      await log[Symbol.asyncDispose]();

      const records = store.written.flatMap((batch) => batch.records);
      expect(records.map(({ record }) => record.action)).toEqual(ended);
      expect(records.map(({ record }) => record.seq)).toEqual(ended.map((_, at) => at + 1));
      let { hash } = genesis;
      for (const each of records) {
        expect(each.hash).toBe((hash = linkHash(hash, each.body)));
      }
      expect(log.head).toEqual({ seq: records.length, hash });
      expect([...store.open]).toEqual([]);
      expect(log.health.waiting).toBe(0);
      expect(clock.timers).toBe(0);
    }),
    { numRuns: 300 },
  );
});

test('a store that writes again is found out within a second when nobody asks, and nothing is left of the try', async () => {
  const store = new FragileStore();
  const clock = new SteeredClock();
  await using log = await AuditLog.open({ store, flushed: async () => undefined, clock, logger: silentLogger });
  const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
  store.isBroken = true;
  await expect(log.open(aCall())).rejects.toThrow('broken');
  for (let second = 0; second < 3; second++) {
    clock.advance(1_000);
    await turn();
    expect(log.health).toEqual({ isFailing: true, waiting: 0 });
  }
  store.isBroken = false;
  clock.advance(1_000);
  await turn();
  expect(log.health).toEqual({ isFailing: false, waiting: 0 });
  expect([...store.open]).toEqual([]);
  expect(log.head).toEqual(genesis);
  expect(clock.timers).toBe(0);
});
