import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PortTable } from '../../src/guest/ports/port-table.ts';

const listensOn8080 =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n' +
  '   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0 0 10 0\n';
const seen = [{ port: 8080, pid: null, command: null, addresses: ['127.0.0.1'] }];

/** What is listed of a kernel that tells this, while three of the sockets are the guest's own. */
async function listed(files: Readonly<Record<string, string>>): Promise<unknown> {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'caisson-proc-'));
  await mkdir(join(directory.path, 'net'));
  for (const [name, text] of Object.entries({ tcp: listensOn8080, ...files })) {
    await writeFile(join(directory.path, 'net', name), text);
  }
  const table = new PortTable({ proc: directory.path, ownPorts: () => new Set(), ownSockets: () => 3 });
  return await table.list();
}

const used = (count: number): string => `sockets: used 25\nTCP: inuse ${count} orphan 0 tw 0 alloc 35 mem 238\n`;

test('while the sockets of the guest are the only ones, the tables are not read', async () => {
  expect(await listed({ sockstat: used(3), sockstat6: 'TCP6: inuse 0\n' })).toEqual([]);
  expect(await listed({ sockstat: used(3) })).toEqual([]); // without IPv6
});

test('one socket more, of either kind, and the tables are read', async () => {
  expect(await listed({ sockstat: used(4), sockstat6: 'TCP6: inuse 0\n' })).toEqual(seen);
  expect(await listed({ sockstat: used(3), sockstat6: 'TCP6: inuse 1\n' })).toEqual(seen);
});

test('where the kernel does not count sockets, the tables are read', async () => {
  expect(await listed({})).toEqual(seen);
  expect(await listed({ sockstat: 'TCP: 3\n' })).toEqual(seen);
  expect(await listed({ sockstat: used(3), sockstat6: 'TCP6: many\n' })).toEqual(seen);
});
