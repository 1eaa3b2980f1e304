import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type CaissonClient, createCaissonClient } from '../../../src/client/index.ts';
import { until } from '../../until.ts';

/** A control plane in a process of its own, started by `caisson start`, so that it can be killed. */
export interface ControlPlaneProcess extends AsyncDisposable {
  readonly url: string;
  readonly client: CaissonClient;
  /** Of its administrator. */
  readonly apiKey: string;
  readonly pid: number;
  /** What it has printed so far; the last 1 MiB. */
  readonly output: () => string;
  /** Resolves when it is dead, by whatever hand. */
  readonly dead: Promise<void>;
  /** `kill -9`; resolves when it is dead. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with its exit code. */
  stop(): Promise<number | null>;
}

const repository = join(import.meta.dirname, '../../..');

/** A port of loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return address.port;
}

/** Resolves when it serves. `environment` must name CAISSON_PORT and CAISSON_DATA_DIR. */
export async function spawnControlPlane(environment: Readonly<Record<string, string>>): Promise<ControlPlaneProcess> {
  const child = spawn(process.execPath, ['src/cli/main.ts', 'start'], {
    cwd: repository,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const dead = once(child, 'exit').then(() => undefined);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => (output = (output + chunk).slice(-1_048_576)));
  }
  const url = `http://127.0.0.1:${environment['CAISSON_PORT']}`;
  await until(`${url} serves`, async () => {
    if (child.exitCode !== null) throw new Error(`the control plane ended with ${child.exitCode}:\n${output}`);
    return await fetch(`${url}/healthz`).then(
      (response) => response.ok,
      () => false,
    );
  });
  const apiKey = (await readFile(join(environment['CAISSON_DATA_DIR'] ?? '', 'admin.key'), 'utf8')).trim();
  return {
    url,
    client: createCaissonClient({ url, apiKey }),
    apiKey,
    pid: child.pid ?? 0,
    output: () => output,
    dead,
    kill: async () => void (await end(child, 'SIGKILL')),
    stop: () => end(child, 'SIGTERM'),
    [Symbol.asyncDispose]: async () => void (await end(child, 'SIGKILL')),
  };
}

async function end(child: ChildProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }
  return child.exitCode;
}
