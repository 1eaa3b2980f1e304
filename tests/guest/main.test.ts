import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { bundleGuest, type GuestBundle, guestEntry } from '../../scripts/guest-bundle.ts';
import { newAgentId } from '../../src/kernel/ids.ts';
import { GuestClient } from '../../src/wire/guest-client.ts';

let directory: string;
let bundle: GuestBundle;
let file: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'caisson-main-'));
  file = join(directory, 'guest.cjs');
  bundle = await bundleGuest(guestEntry);
  await writeFile(file, bundle.code);
});
afterAll(() => rm(directory, { recursive: true }));

function start(environment: Record<string, string>): ChildProcess {
  const guest = spawn(process.execPath, [file], { env: environment, stdio: ['ignore', 'inherit', 'pipe'] });
  onTestFinished(() => void guest.kill('SIGKILL'));
  return guest;
}

function inotifyInstances({ pid }: ChildProcess): number {
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return ''; // closed meanwhile
    }
  });
  return links.filter((link) => link === 'anon_inode:inotify').length;
}

test('the bundled guest listens, knows its own hash, holds an inotify instance before anybody watches, and ends in good order on SIGTERM', async () => {
  const agentId = newAgentId();
  const runDirectory = join(directory, 'run');
  const guest = start({
    PATH: process.env['PATH'] ?? '',
    CAISSON_AGENT_ID: agentId,
    CAISSON_RUN_DIR: runDirectory,
    CAISSON_MODEL_PORT: '0',
    CAISSON_HTTP_PROXY_PORT: '0',
    CAISSON_SOCKS_PROXY_PORT: '0',
    CAISSON_HARNESS_COMMAND: '["sh", "-c", "cat > /dev/null"]', // takes all, answers nothing
  });
  guest.stderr?.resume();
  const path = join(runDirectory, 'inward.sock');
  await vi.waitFor(() => expect(existsSync(path)).toBe(true), { timeout: 20_000 });
  const client = new GuestClient(connect(path));
  expect(await client.health()).toMatchObject({ agentId, guestVersion: bundle.version });
  // It listens before it has begun to start the harness.
  await vi.waitFor(async () => expect((await client.health()).harness).toEqual({ name: 'codex', state: 'starting' }));
  // All sandboxes share the kernel's instances: those of others may have used them up when somebody wants to watch files.
  expect(inotifyInstances(guest)).toBe(1);
  const exited = once(guest, 'exit');
  guest.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
  await client.closed;
});

// `import { z } from 'zod'` anywhere in the guest would keep all of zod, 430 KB that every sandbox loads at its start.
test('the bundle holds no more of zod than the guest uses', () => {
  expect(bundle.code.length).toBeLessThan(700_000);
});

// `process.exit` may wait for ever for a thread of V8's, and a guest that fails while it runs would then never be gone.
test.for([
  ['no agent', {}, 'CAISSON_AGENT_ID'],
  ['a port that is none', { CAISSON_AGENT_ID: newAgentId(), CAISSON_MODEL_PORT: '70000' }, 'CAISSON_MODEL_PORT'],
] as const)('a guest with %s says so and ends by a signal that cannot hang', async ([, environment, said]) => {
  const guest = start({ ...environment, CAISSON_RUN_DIR: join(directory, 'none') });
  const exited = once(guest, 'exit');
  const log = guest.stderr === null ? '' : await text(guest.stderr);
  expect(await exited).toEqual([null, 'SIGKILL']);
  expect(JSON.parse(log)).toMatchObject({ level: 'error', error: expect.stringContaining(said) });
});
