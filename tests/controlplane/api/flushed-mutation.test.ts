import { expect, test } from 'vitest';
import { startServer } from '../running-server.ts';

test('a mutation is answered when what it stored is on the disk', async () => {
  await using server = await startServer();
  const { storage } = server;
  const flushed = storage.flushed.bind(storage);
  const [asked, disk] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  storage.flushed = async () => {
    asked.resolve();
    await disk.promise;
    await flushed();
  };
  let isAnswered = false;
  const answer = server.mutate(server.alice, 'agents.create', { name: 'kept' }).finally(() => (isAnswered = true));
  await asked.promise;
  // It is stored already, and its answer would have come before this one.
  expect((await server.query(server.alice, 'agents.get', { name: 'kept' })).status).toBe(200);
  expect(isAnswered).toBe(false);
  disk.resolve();
  expect((await answer).status).toBe(200);
});
