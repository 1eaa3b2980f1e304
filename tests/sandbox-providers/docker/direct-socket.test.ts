import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDirectSocket } from '../../../src/sandbox-providers/docker/direct-socket.ts';
import { guestRunDirectory } from '../../../src/wire/contract/guest-api.ts';
import { type DockerSubject, openDocker } from './docker-subject.ts';

describe('a socket of a container on this machine', () => {
  let subject: DockerSubject;

  beforeAll(async () => {
    subject = await openDocker();
  }, 300_000);

  afterAll(async () => {
    await subject[Symbol.asyncDispose]();
  });

  const started = async (image: string) => {
    const { agentId } = await subject.provider.ensureRunning(subject.newSpec({ image }));
    const { Id: containerId, State: state } = await subject.docker.getContainer(agentId).inspect();
    return { agentId, containerId, pid: state.Pid };
  };
  const bounds = { channel: 'inward', intervalMs: 5 } as const;

  test('is opened without a process in the sandbox', async () => {
    const { agentId, ...container } = await started(subject.images.echo);
    const signal = AbortSignal.timeout(30_000);
    const socket = await openDirectSocket({ ...bounds, ...container, signal });
    const processes = await subject.processIds(agentId);
    expect(socket).toBeDefined();
    socket?.write('directly');
    expect(String((await once(socket ?? never(), 'data'))[0])).toBe('directly');
    expect(await subject.processIds(agentId)).toEqual(processes);
    socket?.destroy();
  });

  test('may be reset before anybody takes it over', async () => {
    const { agentId: _, ...container } = await started(subject.images.echo);
    const socket = await openDirectSocket({ ...bounds, ...container, signal: AbortSignal.timeout(30_000) });
    expect(() => socket?.emit('error', new Error('read ECONNRESET'))).not.toThrow();
    socket?.destroy();
  });

  test('is not one to which a link in the sandbox points', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'caisson-test-'));
    const path = join(directory, 'of-the-host.sock');
    const reached: Socket[] = [];
    const server = createServer((socket) => reached.push(socket)).listen(path);
    await once(server, 'listening');
    try {
      const { agentId, ...container } = await started(subject.images.silent);
      await subject.run(agentId, `ln -s ${path} ${guestRunDirectory}/inward.sock`);
      expect(await openDirectSocket({ ...bounds, ...container, signal: AbortSignal.timeout(30_000) })).toBeUndefined();
      expect(reached).toEqual([]);
    } finally {
      server.close();
      await rm(directory, { recursive: true });
    }
  });

  test('is not looked for in a process that is not the container’s', async () => {
    const { containerId } = await started(subject.images.silent);
    const pids = [process.pid, 2 ** 30];
    for (const pid of pids) {
      expect(await openDirectSocket({ ...bounds, containerId, pid, signal: undefined })).toBeUndefined();
    }
  });

  test('is given up with the container', async () => {
    const { agentId, ...container } = await started(subject.images.silent);
    const opening = openDirectSocket({ ...bounds, ...container, signal: undefined });
    await subject.kill(agentId);
    expect(await opening).toBeUndefined();
  });
});

function never(): never {
  throw new Error('the socket was not opened');
}
