import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CaissonClient, TerminalAttachment } from '../../src/client/index.ts';
import { agentIdSchema } from '../../src/kernel/ids.ts';
import { until } from '../until.ts';
import { testSettings } from './support/control-plane.ts';
import { type ControlPlaneProcess, freePort, spawnControlPlane } from './support/control-plane-process.ts';
import { inside } from './support/inside.ts';

const undo = new AsyncDisposableStack();
let environment: Record<string, string>;
let provider: Awaited<ReturnType<typeof testSettings>>['provider'];
let controlPlane: ControlPlaneProcess;
let client: CaissonClient;
let agentId: string;

beforeAll(async () => {
  const settings = await testSettings(undo);
  ({ provider } = settings);
  environment = { ...settings.environment, CAISSON_PORT: String(await freePort()) };
  controlPlane = await spawnControlPlane(environment);
  undo.defer(async () => void (await controlPlane.stop()));
  ({ client } = controlPlane);
  agentId = (await client.agents.create.mutate({ name: 'terminals', wait: true })).id;
});
afterAll(() => undo.disposeAsync());

class Screen {
  text = '';
  bytes = 0;

  constructor({ output }: TerminalAttachment) {
    this.#read(output).catch(() => undefined); // `closed` tells it
  }

  async shows(text: string): Promise<void> {
    await until(`"${text}" on the screen`, () => this.text.includes(text));
  }

  async #read(output: ReadableStream<Uint8Array>): Promise<void> {
    for await (const bytes of output) {
      this.bytes += bytes.length;
      this.text += Buffer.from(bytes).toString();
      if (this.text.length > 4_000_000) this.text = this.text.slice(-1_000_000);
    }
  }
}

async function open(
  command?: string[],
): Promise<{ attachment: TerminalAttachment; screen: Screen; terminalId: string }> {
  const { id: terminalId } = await client.terminals.open.mutate({ agentId, ...(command && { command }) });
  const attachment = await client.terminals.attach({ agentId, terminalId });
  return { attachment, screen: new Screen(attachment), terminalId };
}

/** Resident memory of the control plane and, as its own sandbox sees it, of the guest. */
async function memory(): Promise<{ controlPlane: number; guest: number }> {
  const kibibytes = (status: string): number => Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN);
  const script = `for p in /proc/[0-9]*; do if tr '\\0' ' ' < $p/cmdline 2>/dev/null | grep -q '^/usr/local/bin/node.*guest.cjs'; then cat $p/status; fi; done`;
  const { stdout } = await inside(provider, agentIdSchema.parse(agentId), script);
  return {
    controlPlane: kibibytes(await readFile(`/proc/${controlPlane.pid}/status`, 'utf8')) / 1024,
    guest: kibibytes(stdout) / 1024,
  };
}

test('a shell of the sandbox: its prompt, its user, nothing of the guest in its environment', async () => {
  const { attachment, screen } = await open();
  await screen.shows('agent@sandbox');
  await screen.shows('/workspace');
  await attachment.write('id -un; tty; env | grep -c CAISSON; echo "$TERM $SHELL $HOME"; stty size\r');
  await screen.shows('xterm-256color /bin/bash /home/agent');
  expect(screen.text).toMatch(/\ragent\r\n\/dev\/pts\/\d+\r\n0\r\n/);
  await attachment.write('exit 4\r');
  expect(await attachment.closed).toEqual({ exitCode: 4, signal: null });
});

test('kill -9 of the control plane: a full-screen program goes on, and its reader misses nothing', async () => {
  const { attachment, screen } = await open(['bash', '-c', 'top -d 0.2']);
  await screen.shows('load average');
  const numbers = await open([
    'bash',
    '-c',
    'for i in $(seq 1 20000); do echo "line $i"; [ $((i % 200)) = 0 ] && sleep 0.02; done; read x',
  ]);
  await numbers.screen.shows('line 500\r\n');
  await controlPlane.kill();
  controlPlane = await spawnControlPlane(environment);
  await numbers.screen.shows('line 20000\r\n');
  const whole = Array.from({ length: 20_000 }, (_, at) => `line ${at + 1}\r\n`).join('');
  expect(numbers.screen.text).toBe(whole);
  const before = screen.bytes;
  await until('the full-screen program draws on', () => screen.bytes > before);
  await until('its person still drives', () => attachment.isDriver);
  await attachment.write('q');
  expect(await attachment.closed).toEqual({ exitCode: 0, signal: null });
  await numbers.attachment.write('\r');
  expect(await numbers.attachment.closed).toMatchObject({ exitCode: 0 });
});

test('`yes` with and without a reader: memory stays, and another terminal still answers', async () => {
  const typed = await open(['bash', '-c', 'stty raw -echo; printf READY; exec cat']);
  await typed.screen.shows('READY');
  const read = await open(['yes', 'a line that is printed again and again']);
  await client.terminals.open.mutate({ agentId, command: ['yes'] }); // nobody reads this one
  await until('it is warm', () => read.screen.bytes > 8_000_000);
  const before = await memory();
  let key = 0;
  while (read.screen.bytes < 35_000_000) {
    await typed.attachment.write(`<${++key}>`);
    await typed.screen.shows(`<${key}>`);
  }
  const after = await memory();
  expect(key).toBeGreaterThan(20);
  expect(after.guest - before.guest, 'MiB more in the guest').toBeLessThan(64);
  expect(after.controlPlane - before.controlPlane, 'MiB more in the control plane').toBeLessThan(64);
  for (const { id: terminalId, exit } of (await client.terminals.list.query({ agentId })).items) {
    if (exit === null) await client.terminals.close.mutate({ agentId, terminalId });
  }
});

test('a sandbox that is stopped takes its terminals along', async () => {
  const { attachment, terminalId } = await open(['cat']);
  await provider.stop(agentIdSchema.parse(agentId));
  await attachment.closed.then(
    (exit) => expect(exit).not.toBeNull(), // the guest could still say how it ended
    (error: unknown) => expect(error).toMatchObject({ code: 'TERMINAL_NOT_FOUND' }),
  );
  await open(['cat']); // brings the sandbox up again
  await expect(client.terminals.get.query({ agentId, terminalId })).rejects.toMatchObject({
    code: 'TERMINAL_NOT_FOUND',
  });
});
