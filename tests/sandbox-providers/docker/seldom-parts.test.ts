import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { Docker } from '../../../src/sandbox-providers/docker/docker-client.ts';

const { cache } = createRequire(import.meta.url);
const loaded = (name: string): boolean => Object.keys(cache).some((path) => path.includes(`/node_modules/${name}/`));

test('gRPC and SSH are not loaded before they are needed, and an engine behind ssh:// is reached with SSH', async () => {
  const docker = new Docker({ protocol: 'ssh', host: '127.0.0.1', port: 1, username: 'nobody' });
  expect(loaded('dockerode')).toBe(true);
  expect([loaded('@grpc/grpc-js'), loaded('ssh2')]).toEqual([false, false]);
  await expect(docker.ping()).rejects.toMatchObject({ code: 'ECONNREFUSED', port: 1 });
  expect([loaded('@grpc/grpc-js'), loaded('ssh2')]).toEqual([false, true]);
});
