import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { listenUnix } from '../../src/guest/unix-listener.ts';

test('the socket takes the place of a stale file, and only its owner can open it', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'caisson-socket-'));
  const path = join(directory, 'inward.sock');
  await writeFile(path, 'left behind', { mode: 0o666 });
  const umask = process.umask();
  const server = listenUnix(path, (socket) => socket.end('hello'));
  expect(process.umask()).toBe(umask);
  const { mode } = await stat(path); // it is there at once
  expect((mode & 0o777).toString(8)).toBe('600');
  const [chunk] = (await once(connect(path), 'data')) as [Buffer];
  expect(chunk.toString()).toBe('hello');
  server.close();
  await rm(directory, { recursive: true });
});

test('connections above the bound are dropped', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'caisson-socket-'));
  const path = join(directory, 'inward.sock');
  let open = 0;
  const server = listenUnix(path, (socket) => {
    open++;
    socket.write('hello');
    socket.resume();
  });
  const sockets: Socket[] = [];
  for (let i = 0; i < 16; i++) {
    const socket = connect(path);
    sockets.push(socket);
    await once(socket, 'data');
  }
  const dropped = connect(path);
  dropped.resume();
  dropped.on('error', () => undefined);
  await new Promise((resolve) => dropped.once('close', resolve));
  expect(open).toBe(16);
  for (const socket of sockets) socket.destroy();
  server.close();
  await rm(directory, { recursive: true });
});
