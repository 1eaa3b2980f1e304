import { chmodSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openStorage } from '../../../src/controlplane/storage/open-storage.ts';
import { agentIdSchema } from '../../../src/kernel/ids.ts';
import { anAgent, storedAgent } from '../../contracts/store-records.ts';
import { startProcess } from './child-process.ts';
import { dataDirectory } from './data-directory.ts';

const writer = join(import.meta.dirname, 'writer-process.ts');
const inUse = { code: 'CONFIG_INVALID', message: expect.stringContaining('Another control plane') };

test('what was acknowledged survives kill -9, whole, and numbering goes on', async () => {
  using directory = dataDirectory();
  for (let round = 0; round < 3; round++) {
    await using child = startProcess(writer, directory.path);
    const agentId = agentIdSchema.parse(await child.nextLine());
    const acknowledged: number[] = [];
    while (acknowledged.length < 25 * (round + 1)) acknowledged.push(Number(await child.nextLine()));
    acknowledged.push(...(await child.kill()).map(Number));

    const storage = await openStorage(directory.path);
    const { first, last } = await storage.agents.eventBounds(agentId);
    const events = await storage.agents.readEvents(agentId, 0, 100_000);
    expect(last).toBeGreaterThanOrEqual(acknowledged.at(-1) ?? Number.NaN);
    expect(first).toBe(1);
    expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: last }, (_, index) => index + 1));
    let messages = 0;
    for (let cursor: string | null = null, more = true; more; more = cursor !== null) {
      const page = await storage.agents.listMessages(agentId, null, { limit: 200, cursor });
      messages += page.items.length;
      cursor = page.nextCursor;
    }
    expect(messages * 2).toBe(last);
    await storage.close();
  }
});

test('a second control plane on the directory is refused, until the first is killed', async () => {
  using directory = dataDirectory();
  await using child = startProcess(writer, directory.path);
  await child.nextLine();
  await expect(openStorage(directory.path)).rejects.toMatchObject(inUse);
  await child.kill();
  await (await openStorage(directory.path)).close();
});

test('the lock holds against its own process too, and a refused attempt does not lose it', async () => {
  using directory = dataDirectory();
  const storage = await openStorage(directory.path);
  await expect(openStorage(directory.path)).rejects.toMatchObject(inUse);
  await using child = startProcess(join(import.meta.dirname, 'opener-process.ts'), directory.path);
  expect(await child.nextLine()).toBe('CONFIG_INVALID');
  await storage.close();
  const again = await openStorage(directory.path);
  await again.close();
});

test('a control plane that runs is not passed by who removes its lock, however often', async () => {
  using directory = dataDirectory();
  const lock = join(directory.path, 'caisson.lock');
  await using child = startProcess(writer, directory.path);
  await child.nextLine();
  rmSync(lock);
  const refused = { code: 'CONFIG_INVALID', message: expect.stringContaining('was removed while a program has') };
  for (let attempt = 0; attempt < 2; attempt++) {
    await expect(openStorage(directory.path)).rejects.toMatchObject(refused);
  }
  await child.kill();
  await (await openStorage(directory.path)).close();
});

test('a lock that is damaged is named, and not the database', async () => {
  using directory = dataDirectory();
  const lock = join(directory.path, 'caisson.lock');
  await (await openStorage(directory.path)).close();
  writeFileSync(lock, 'garbage '.repeat(1_000));
  await expect(openStorage(directory.path)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: `${lock} is damaged.`,
  });
  rmSync(lock);
  await (await openStorage(directory.path)).close();
});

test('a database that is not in its place any more is unhealthy until it is back', async () => {
  using directory = dataDirectory();
  const [file, aside] = [join(directory.path, 'caisson.db'), join(directory.path, 'aside')];
  const storage = await openStorage(directory.path);
  await storage.checkHealth();
  const moved = { code: 'STORAGE_UNAVAILABLE', message: `${file} was removed or replaced while it is in use.` };
  renameSync(file, aside);
  await expect(storage.checkHealth()).rejects.toMatchObject(moved);
  writeFileSync(file, '');
  await expect(storage.checkHealth()).rejects.toMatchObject(moved);
  renameSync(aside, file);
  await storage.checkHealth();
  await storage.close();
});

test('only the user can read what it makes', async () => {
  using directory = dataDirectory();
  const made = join(directory.path, 'deep', 'data');
  const storage = await openStorage(made);
  await storedAgent(storage.agents);
  expect(statSync(made).mode & 0o777).toBe(0o700);
  const files = readdirSync(made);
  expect(files.toSorted()).toEqual(['caisson.db', 'caisson.db-shm', 'caisson.db-wal', 'caisson.lock']);
  for (const file of files) expect([file, statSync(join(made, file)).mode & 0o777]).toEqual([file, 0o600]);
  await storage.close();
  chmodSync(join(made, 'caisson.db'), 0o644);
  const again = await openStorage(made);
  expect(statSync(join(made, 'caisson.db')).mode & 0o777).toBe(0o600);
  await again.close();
});

test('closing waits for what was asked before, and refuses what comes after', async () => {
  using directory = dataDirectory();
  const storage = await openStorage(directory.path);
  const agent = anAgent();
  const written = storage.agents.transaction(async (tx) => {
    await tx.findAgent(agent.id);
    await tx.insertAgent(agent);
  });
  const closed = storage.close();
  await expect(storage.agents.findAgent(agent.id)).rejects.toMatchObject({ code: 'DRAINING' });
  await expect(storage.identities.findUserByName('ada')).rejects.toMatchObject({ code: 'DRAINING' });
  await written;
  await closed;
  const again = await openStorage(directory.path);
  expect(await again.agents.findAgent(agent.id)).toEqual(agent);
  await again.close();
});

test('a file that is no database is refused with a sentence, and the lock is let go', async () => {
  using directory = dataDirectory();
  writeFileSync(join(directory.path, 'caisson.db'), 'This is a letter, not a database. '.repeat(100));
  const refused = { code: 'STORAGE_UNAVAILABLE', message: 'caisson.db is not a database.' };
  await expect(openStorage(directory.path)).rejects.toMatchObject(refused);
  await expect(openStorage(directory.path)).rejects.toMatchObject(refused);
});

test('how long the disk takes for a flush is told', async () => {
  using directory = dataDirectory();
  const flushes: number[] = [];
  const storage = await openStorage(directory.path, { onFlush: (ms) => void flushes.push(ms) });
  await storage.flushed();
  expect(flushes).toEqual([expect.any(Number)]);
  await storage.close();
});

test('when the database was made is known, and stays so', async () => {
  using directory = dataDirectory();
  const before = Date.now();
  const first = await openStorage(directory.path);
  const { madeAt } = first;
  expect(madeAt).toBeGreaterThanOrEqual(before);
  expect(madeAt).toBeLessThanOrEqual(Date.now());
  await first.close();
  const second = await openStorage(directory.path);
  expect(second.madeAt).toBe(madeAt);
  await second.close();
});
