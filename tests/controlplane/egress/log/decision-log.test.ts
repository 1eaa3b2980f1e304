import { expect, test } from 'vitest';
import type { EgressEvent } from '../../../../src/agents/agent-service.ts';
import { DecisionLog } from '../../../../src/controlplane/egress/log/decision-log.ts';
import { type EgressLogEntry, hourMs, type OpenEntries } from '../../../../src/controlplane/egress/log/egress-log.ts';
import type { EgressRecord, OpenConnection } from '../../../../src/controlplane/egress/ports.ts';
import { CaissonError } from '../../../../src/kernel/errors.ts';
import { newAgentId } from '../../../../src/kernel/ids.ts';
import { until } from '../../../until.ts';
import { type LoggedLine, recordingLogger } from '../../recording-logger.ts';
import { SteeredClock } from '../policy/steered-clock.ts';

const agentId = newAgentId();

function aRecord(of: Partial<EgressRecord> = {}): EgressRecord {
  return {
    agentId,
    host: 'example.com',
    port: 443,
    decision: 'allow',
    rule: 'npm',
    outcome: 'closed',
    reason: null,
    secretId: null,
    sentBytes: 10,
    receivedBytes: 20,
    startedAt: 1_760_000_000_000,
    durationMs: 5,
    ...of,
  };
}
const denied = { decision: 'deny', outcome: 'denied', rule: null, reason: 'No rule.' } as const;

function opened() {
  const clock = new SteeredClock();
  const stored: (readonly EgressLogEntry[])[] = [];
  const noted: OpenEntries[] = [];
  const events: EgressEvent[] = [];
  const lines: LoggedLine[] = [];
  const failing = { with: undefined as CaissonError | undefined };
  const log = new DecisionLog({
    store: {
      async addToLog(entries, open = new Map()) {
        if (failing.with !== undefined) throw failing.with;
        stored.push(entries);
        noted.push(open);
      },
    },
    clock,
    logger: recordingLogger(lines),
    record: async (_agentId, event) => void events.push(event),
  });
  return { log, clock, stored, noted, events, failing, lines };
}

test('a thousand connections to one place are one entry, stored once a second', async () => {
  const { log, clock, stored } = opened();
  const startedAt = 1_760_000_000_000;
  for (let n = 0; n < 1_000; n++) log.record(aRecord({ startedAt: startedAt + n }));
  expect(stored).toEqual([]);
  clock.advance(1_000);
  expect(stored).toEqual([
    [
      expect.objectContaining({
        hour: Math.floor(startedAt / hourMs) * hourMs,
        connections: 1_000,
        sentBytes: 10_000,
        receivedBytes: 20_000,
        durationMs: 5_000,
        firstAt: startedAt,
        lastAt: startedAt + 999,
      }),
    ],
  ]);
  await until('nothing waits', () => clock.timers === 0);
  log.record(aRecord());
  clock.advance(1_000);
  expect(stored).toHaveLength(2);
});

test('places beyond the bound are one together, and nothing is lost of the sums', async () => {
  const { log, stored } = opened();
  for (let port = 1; port <= 5_000; port++) log.record(aRecord({ port }));
  await log[Symbol.asyncDispose]();
  const entries = stored.flat();
  expect(entries).toHaveLength(201);
  expect(entries.filter(({ host }) => host === '')).toMatchObject([{ port: 0, connections: 4_800 }]);
  expect(entries.reduce((sum, { sentBytes }) => sum + sentBytes, 0)).toBe(50_000);
});

test('what could not be stored is stored later, with what came meanwhile; what is left is stored at the end', async () => {
  const { log, clock, stored, failing } = opened();
  failing.with = new CaissonError('STORAGE_UNAVAILABLE', 'The disk is full.');
  log.record(aRecord());
  clock.advance(1_000);
  await until('it is tried again', () => clock.timers === 1);
  log.record(aRecord());
  failing.with = undefined;
  clock.advance(1_000);
  expect(stored).toMatchObject([[{ connections: 2 }]]);
  log.record(aRecord());
  await log[Symbol.asyncDispose]();
  expect(stored).toMatchObject([[{ connections: 2 }], [{ connections: 1 }]]);
  expect(clock.timers).toBe(0);
});

/** An open connection that a test plays. */
class PlayedConnection implements OpenConnection {
  readonly agentId = agentId;
  readonly port: number;
  isOver = false;
  isAllowed = true;
  sentBytes = 0;

  constructor(port = 443) {
    this.port = port;
  }

  soFar(): EgressRecord | undefined {
    const { port, sentBytes } = this;
    return this.isAllowed ? aRecord({ outcome: 'interrupted', port, sentBytes }) : undefined;
  }
}

test('what is open is noted within a second, again where something has moved, and with its end no more', async () => {
  const { log, clock, stored, noted } = opened();
  const [one, waiting] = [new PlayedConnection(), new PlayedConnection(80)];
  waiting.isAllowed = false;
  for (const connection of [one, waiting]) log.follow(connection);
  const pass = async (): Promise<void> => {
    clock.advance(1_000);
    await until('the next look', () => clock.timers === (one.isOver && waiting.isOver ? 0 : 1));
  };
  await pass();
  const first = new Map([[agentId, [expect.objectContaining({ port: 443, outcome: 'interrupted', sentBytes: 0 })]]]);
  expect(noted).toEqual([first]);
  await pass();
  expect(noted).toHaveLength(1);
  one.sentBytes = 5;
  waiting.isAllowed = true;
  await pass();
  const entries = [expect.objectContaining({ port: 443, sentBytes: 5 }), expect.objectContaining({ port: 80 })];
  expect(noted[1]).toEqual(new Map([[agentId, entries]]));
  one.isOver = true;
  log.record(aRecord({ sentBytes: 6 }));
  await pass();
  expect(stored[2]).toMatchObject([{ outcome: 'closed', sentBytes: 6 }]);
  expect(noted[2]).toEqual(new Map([[agentId, [expect.objectContaining({ port: 80 })]]]));
  waiting.isOver = true;
  log.record(aRecord({ port: 80 }));
  await pass();
  expect(noted[3]).toEqual(new Map([[agentId, []]]));
});

test('what is open beyond the bound of places is one entry, and what could not be noted is noted later', async () => {
  const { log, clock, noted, failing, lines } = opened();
  failing.with = new CaissonError('STORAGE_UNAVAILABLE', 'The disk is full.');
  for (let port = 1; port <= 300; port++) log.follow(new PlayedConnection(port));
  clock.advance(1_000);
  await until('it is tried again', () => clock.timers === 1);
  clock.advance(1_000);
  await until('and again', () => clock.timers === 1);
  expect(lines.map(({ level }) => level)).toEqual(['warn', 'debug']);
  failing.with = undefined;
  clock.advance(1_000);
  const entries = noted[0]?.get(agentId) ?? [];
  expect(entries).toHaveLength(201);
  expect(entries.at(-1)).toMatchObject({ host: '', port: 0, connections: 100 });
});

test('what is blocked is an event, once in ten minutes for a place, and at most 20 of an agent', async () => {
  const { log, clock, events } = opened();
  for (let n = 0; n < 3; n++) log.record(aRecord(denied));
  log.record(aRecord());
  expect(events).toEqual([
    { type: 'egress.blocked', host: 'example.com', port: 443, outcome: 'denied', message: 'No rule.' },
  ]);
  for (let port = 1; port <= 100; port++) log.record(aRecord({ ...denied, outcome: 'refused', port }));
  expect(events).toHaveLength(20);
  log.record(aRecord({ ...denied, agentId: newAgentId() }));
  expect(events).toHaveLength(21);
  clock.advance(10 * 60_000);
  log.record(aRecord(denied));
  expect(events).toHaveLength(22);
  await log[Symbol.asyncDispose]();
  expect(clock.timers).toBe(0);
});
