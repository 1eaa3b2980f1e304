import { expect, test } from 'vitest';
import { PortWatch } from '../../src/guest/ports/port-watch.ts';
import { parseSocketTable } from '../../src/guest/ports/socket-table.ts';
import type { Clock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/logger.ts';
import type { JournalBody } from '../../src/wire/contract/journal-entry.ts';
import type { ListeningPort } from '../../src/wire/contract/ports.ts';

const portOf = (port: number): ListeningPort => ({ port, pid: 1, command: 'app', addresses: ['127.0.0.1'] });

/** A watch that looks each time it is told to. */
function watch(journal = { isRead: true, full: false }) {
  let ports: readonly number[] = [];
  let now = 0;
  let next = (): void => undefined;
  const told: string[] = [];
  const clock: Clock = {
    now: () => now,
    elapsed: () => now,
    schedule: (_delayMs, callback) => {
      next = callback;
      return () => undefined;
    },
  };
  const append = (body: JournalBody): void => {
    if (body.type === 'port.opened' || body.type === 'port.closed') told.push(`${body.type} ${body.port}`);
  };
  void new PortWatch({
    table: { list: async () => ports.map(portOf) },
    journal: Object.assign(journal, { append }),
    clock,
    logger: silentLogger,
  });
  return {
    told,
    journal,
    look: async (...open: number[]): Promise<void> => {
      ports = open;
      now += 500;
      next();
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test('a port is told once it was seen twice, and again when it is gone', async () => {
  const { look, told } = watch();
  await look(80);
  expect(told).toEqual([]);
  await look(80);
  await look(80, 81);
  expect(told).toEqual(['port.opened 80']);
  await look(80);
  await look(81);
  await look();
  expect(told).toEqual(['port.opened 80', 'port.closed 80']);
});

test('while nobody reads the journal, or it is full, nothing is told; what has changed is told after', async () => {
  const { look, told, journal } = watch();
  await look(80);
  await look(80);
  journal.isRead = false;
  for (let n = 0; n < 5; n++) await look(81);
  journal.isRead = true;
  journal.full = true;
  for (let n = 0; n < 5; n++) await look(81);
  expect(told).toEqual(['port.opened 80']);
  journal.full = false;
  for (let n = 0; n < 3; n++) await look(81);
  expect(told.toSorted()).toEqual(['port.closed 80', 'port.opened 80', 'port.opened 81']);
});

test('ports that flap for 10 minutes are not told more often than once in 3 s, beyond the first 40', async () => {
  const { look, told } = watch();
  for (let n = 0; n < 300; n++) {
    await look(80, 81, 82);
    await look(80, 81, 82);
    await look();
    await look();
  }
  expect(told.length).toBeLessThanOrEqual(40 + 600 / 3);
  for (let n = 0; n < 20; n++) await look(90);
  expect(told.at(-1)).toBe('port.opened 90');
});

test('the table of the kernel is read as it is, and what is not understood is passed over', () => {
  const text = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 11 1 0 100 0 0 10 0
   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12 1 0 100 0 0 10 0
   2: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 13 1 0 100 0 0 10 0
   3: 00000000000000000000000001000000:0BB8 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 14 1
   4: 00000000000000000000000000000000:0BB9 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 15 1
   5: 0000000000000000FFFF00000100007F:0BBA 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 16 1
 nonsense 0A
`;
  expect(parseSocketTable(text)).toEqual([
    { address: '127.0.0.1', port: 8080, inode: '11' },
    { address: '0.0.0.0', port: 80, inode: '12' },
    { address: '::1', port: 3000, inode: '14' },
    { address: '::', port: 3001, inode: '15' },
    { address: '::ffff:127.0.0.1', port: 3002, inode: '16' },
  ]);
});
