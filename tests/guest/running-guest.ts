import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Guest, startGuest } from '../../src/guest/guest.ts';
import { type Clock, systemClock } from '../../src/kernel/clock.ts';
import { newAgentId } from '../../src/kernel/ids.ts';
import { silentLogger } from '../../src/kernel/logger.ts';
import type { WireChannel } from '../../src/sandbox-providers/contract/index.ts';
import { GuestClient } from '../../src/wire/guest-client.ts';
import { FakeHarness } from './fake-harness.ts';

/** Folders for a guest in this process, in place of those of a sandbox. */
export async function makeRoots(directory: string): Promise<RunningGuest['roots']> {
  const roots = [join(directory, 'workspace'), join(directory, 'home'), join(directory, 'tmp')] as const;
  for (const root of roots) await mkdir(root);
  return roots;
}

/** A real guest on real sockets in this process, with a harness that the test plays. */
export interface RunningGuest extends AsyncDisposable {
  readonly guest: Guest;
  readonly harness: FakeHarness;
  readonly runDirectory: string;
  /** The folders that stand for /workspace, the home and /tmp. */
  readonly roots: readonly [workspace: string, home: string, temporary: string];
  socket(channel: WireChannel): Promise<Socket>;
  /** A client on a connection of its own; closed with the guest. */
  client(): Promise<GuestClient>;
}

interface RunGuestOptions {
  readonly clock?: Clock;
  /** Done before it starts. */
  readonly prepare?: (roots: RunningGuest['roots']) => Promise<void>;
}

export async function runGuest({ clock = systemClock, prepare }: RunGuestOptions = {}): Promise<RunningGuest> {
  const runDirectory = await mkdtemp(join(tmpdir(), 'caisson-guest-'));
  const roots = await makeRoots(runDirectory);
  await prepare?.(roots);
  const harnesses: FakeHarness[] = [];
  const clients: GuestClient[] = [];
  const guest = await startGuest({
    agentId: newAgentId(),
    runDirectory,
    modelPort: 0,
    proxyPorts: { http: 0, socks: 0 },
    roots,
    watchPorts: false,
    version: () => 'test',
    createHarness: (sink) => {
      const harness = new FakeHarness(sink);
      harnesses.push(harness);
      return harness;
    },
    clock,
    logger: silentLogger,
  });
  const [harness] = harnesses;
  if (harness === undefined) throw new Error('the guest made no harness');
  const socket = async (channel: WireChannel): Promise<Socket> => {
    const opened = connect(join(runDirectory, `${channel}.sock`));
    await once(opened, 'connect');
    return opened;
  };
  return {
    guest,
    harness,
    runDirectory,
    roots,
    socket,
    async client() {
      const client = new GuestClient(await socket('inward'));
      clients.push(client);
      return client;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(clients.map((client) => client.close()));
      await guest.stop();
      await rm(runDirectory, { recursive: true, force: true });
    },
  };
}
