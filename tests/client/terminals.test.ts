import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { WebSocket as RawSocket } from 'ws';
import {
  type CaissonClient,
  createCaissonClient,
  type TerminalAttachment,
  type TerminalEvent,
} from '../../src/client/index.ts';
import type { CaissonError } from '../../src/kernel/errors.ts';
import { agentIdSchema, newTerminalId } from '../../src/kernel/ids.ts';
import { startWorkspace, type RunningWorkspace } from '../controlplane/workspace/running-workspace.ts';
import { until } from '../until.ts';
import { startCuttingRelay } from './cutting-relay.ts';

let workspace: RunningWorkspace;
let client: CaissonClient;
let agentId: string;
beforeAll(async () => {
  workspace = await startWorkspace();
  client = workspace.client;
  agentId = workspace.agent.id;
});
afterAll(() => workspace[Symbol.asyncDispose]());

async function openShell(script: string): Promise<{ agentId: string; terminalId: string }> {
  const { id } = await client.terminals.open.mutate({ agentId, command: ['bash', '-c', script] });
  return { agentId, terminalId: id };
}

/** Reads on in the background. */
class Screen {
  text = '';
  readonly done: Promise<void>;

  constructor({ output }: TerminalAttachment) {
    this.done = this.#read(output);
    this.done.catch(() => undefined);
  }

  async shows(text: string): Promise<void> {
    await until(`"${text}" on the screen`, () => this.text.includes(text));
  }

  async #read(output: ReadableStream<Uint8Array>): Promise<void> {
    for await (const bytes of output) this.text += Buffer.from(bytes).toString('latin1');
  }
}

const numbers = (count: number): string => Array.from({ length: count }, (_, at) => `${at + 1}\r\n`).join('');

describe('attach', () => {
  test('gives a shell that is typed into, resized and left by its exit', async () => {
    const { id: terminalId } = await client.terminals.open.mutate({ agentId });
    const attachment = await client.terminals.attach({ agentId, terminalId });
    const screen = new Screen(attachment);
    expect(attachment.isDriver).toBe(true);
    attachment.resize({ cols: 100, rows: 30 });
    await attachment.write('stty size; exit 3\r');
    expect(await attachment.closed).toEqual({ exitCode: 3, signal: null });
    await screen.done;
    expect(screen.text).toContain('30 100\r\n');
    expect(attachment.offset).toBe(screen.text.length);
    await expect(attachment.write('x')).rejects.toMatchObject({ code: 'TERMINAL_NOT_FOUND' });
  });

  test('takes a long paste as fast as the program does, and no faster', async () => {
    const terminal = await openShell('stty raw -echo; printf READY; head -c 3000000 | sha256sum; sleep 60');
    await using attachment = await client.terminals.attach(terminal);
    const screen = new Screen(attachment);
    await screen.shows('READY');
    const bytes = Buffer.alloc(3_000_000, 'paste');
    await attachment.write(bytes);
    const hash = Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex');
    await screen.shows(hash);
  });

  test('several people: control is taken by who wants it, and the former driver is told', async () => {
    const terminal = await openShell('exec cat');
    await using alice = await client.terminals.attach(terminal);
    const told: TerminalEvent[] = [];
    await using bob = await client.terminals.attach({ ...terminal, onEvent: (event) => told.push(event) });
    const screens = [new Screen(alice), new Screen(bob)];
    expect([alice.isDriver, bob.isDriver]).toEqual([true, false]);
    await expect(bob.write('no')).rejects.toMatchObject({ code: 'TERMINAL_NOT_DRIVING' });
    bob.resize({ cols: 55, rows: 11 });
    await bob.takeControl();
    await until('alice is told', () => !alice.isDriver);
    await expect(alice.write('no')).rejects.toMatchObject({ code: 'TERMINAL_NOT_DRIVING' });
    await bob.write('from bob\r');
    for (const screen of screens) await screen.shows('from bob');
    await until('the size is that of the driver', () => alice.situation.cols === 55);
    expect(alice.situation.readers.map(({ name }) => name)).toEqual(['alice', 'alice']); // one user, two windows
    bob.giveControl(alice.situation.readers[0]?.id);
    await until('alice drives again', () => alice.isDriver && !bob.isDriver);
    expect(told.map(({ type }) => type)).toContain('situation');
  });

  test('two who take control at once are told apart: one has it, the other learns so and does not take it later', async () => {
    await using relay = await startCuttingRelay(workspace.url);
    const cut = createCaissonClient({ url: relay.url, apiKey: workspace.apiKey });
    const terminal = await openShell('exec cat');
    let attached = 0;
    const attach = async () => {
      const onEvent = ({ type }: TerminalEvent): void => void (attached += type === 'attached' ? 1 : 0);
      const attachment = await cut.terminals.attach({ ...terminal, as: 'observer', onEvent });
      void new Screen(attachment);
      return attachment;
    };
    await using alice = await attach();
    await using bob = await attach();
    const outcomes = new Set<unknown>();
    for (let round = 0; round < 100 && outcomes.size < 2; round++) {
      const settled = await Promise.allSettled([alice.takeControl(), bob.takeControl()]);
      for (const each of settled)
        outcomes.add(each.status === 'fulfilled' ? 'had it' : (each.reason as CaissonError).code);
      await until('both know who drives', () => alice.isDriver !== bob.isDriver);
      (alice.isDriver ? alice : bob).giveControl();
      await until(
        'both know that nobody drives',
        () => alice.situation.driver === null && bob.situation.driver === null,
      );
    }
    expect(outcomes).toEqual(new Set(['had it', 'TERMINAL_NOT_DRIVING']));
    await using carol = await client.terminals.attach(terminal);
    attached = 0;
    relay.cutAll();
    await until('both are there again', () => attached >= 2 && carol.situation.readers.length === 3);
    expect(carol.isDriver).toBe(true);
  });

  test('control that is taken while a connection is being opened is had with it', async () => {
    await using relay = await startCuttingRelay(workspace.url);
    const cut = createCaissonClient({ url: relay.url, apiKey: workspace.apiKey });
    const terminal = await openShell('exec cat');
    await using alice = await client.terminals.attach(terminal);
    await using bob = await cut.terminals.attach({ ...terminal, as: 'observer' });
    const opening = Promise.withResolvers<void>();
    const { WebSocket: Real } = globalThis;
    vi.stubGlobal(
      'WebSocket',
      class extends Real {
        constructor(...args: ConstructorParameters<typeof Real>) {
          super(...args);
          opening.resolve(); // it has asked for no seat
        }
      },
    );
    relay.cutAll();
    await opening.promise;
    vi.unstubAllGlobals();
    await bob.takeControl();
    await until('alice is told', () => bob.isDriver && !alice.isDriver);
  });

  test('goes on after an offset, and detaching leaves the program alone', async () => {
    const terminal = await openShell('printf abcdefghij; exec cat');
    const first = await client.terminals.attach(terminal);
    const screen = new Screen(first);
    await screen.shows('abcdefghij');
    await first.detach();
    expect(await first.closed).toBeNull();
    await screen.done;
    await using second = await client.terminals.attach({ ...terminal, after: 4 });
    await new Screen(second).shows('efghij');
    expect((await client.terminals.get.query(terminal)).exit).toBeNull();
  });

  test('a signal and the end of its reading detach it', async () => {
    const terminal = await openShell('exec cat');
    const leave = new AbortController();
    const first = await client.terminals.attach({ ...terminal, signal: leave.signal });
    const second = await client.terminals.attach(terminal);
    leave.abort();
    await second.output.cancel();
    expect([await first.closed, await second.closed]).toEqual([null, null]);
    await until('nobody is there', async () => (await client.terminals.get.query(terminal)).readers.length === 0);
  });
});

describe('connections that break', () => {
  test('under random cuts every byte comes once and in order', async () => {
    await using relay = await startCuttingRelay(workspace.url);
    const cut = createCaissonClient({ url: relay.url, apiKey: workspace.apiKey });
    const terminal = await openShell('read go; seq 1 100000; read go');
    await using attachment = await cut.terminals.attach(terminal);
    const screen = new Screen(attachment);
    const seed = Math.random();
    let round = 0;
    // At least one whole message gets through: a connection that never lives so long makes no progress.
    relay.lifeOf = () => 40_000 + ((round++ * 77_777 + Math.floor(seed * 160_000)) % 160_000);
    await attachment.write('\r');
    await screen.shows('\r\n1\r\n'); // what is typed when a connection breaks may be lost
    relay.cutAll();
    await screen.shows('\r\n100000\r\n');
    relay.lifeOf = () => undefined;
    expect(relay.cuts, `seed ${seed}`).toBeGreaterThan(3);
    expect(screen.text, `seed ${seed}`).toBe(`\r\n${numbers(100_000)}`);
    await until('it drives still', () => attachment.isDriver);
    await attachment.write('\r');
    expect(await attachment.closed).toEqual({ exitCode: 0, signal: null });
  });

  test('the wire to the sandbox breaks again and again: the same', async () => {
    const terminal = await openShell('read go; for i in 1 2 3 4 5; do seq 1 20000; sleep 0.1; done');
    await using attachment = await client.terminals.attach(terminal);
    const screen = new Screen(attachment);
    await attachment.write('\r');
    for (let cut = 1; cut <= 3; cut++) {
      await until('more came', () => screen.text.length > cut * 100_000);
      workspace.provider.cut();
    }
    expect(await attachment.closed).toEqual({ exitCode: 0, signal: null });
    await screen.done;
    expect(screen.text).toBe(`\r\n${numbers(20_000).repeat(5)}`);
  });

  test('the time to reconnect counts from the break, not from when it was attached', async () => {
    await using relay = await startCuttingRelay(workspace.url);
    const cut = createCaissonClient({ url: relay.url, apiKey: workspace.apiKey });
    const terminal = await openShell('exec cat');
    await using attachment = await cut.terminals.attach(terminal);
    const screen = new Screen(attachment);
    const now = performance.now.bind(performance);
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + 3_600_000);
    relay.cutAll();
    await until('it drives no more', () => !attachment.isDriver);
    await until('it drives again', () => attachment.isDriver);
    clock.mockRestore();
    await attachment.write('again\r');
    await screen.shows('again');
  });

  test('what was written while away is given up when somebody else drives by then, and is never typed', async () => {
    await using relay = await startCuttingRelay(workspace.url);
    const cut = createCaissonClient({ url: relay.url, apiKey: workspace.apiKey });
    const terminal = await openShell('exec cat');
    let attached = 0;
    const away = Promise.withResolvers<void>();
    const onEvent = ({ type }: TerminalEvent): void => {
      if (type === 'attached') attached++;
      if (type === 'disconnected') away.resolve();
    };
    await using alice = await cut.terminals.attach({ ...terminal, onEvent });
    await using bob = await client.terminals.attach(terminal);
    const screens = [new Screen(alice), new Screen(bob)];
    relay.lifeOf = () => 0;
    relay.cutAll();
    await away.promise;
    const written = alice.write('stale\r').catch((error: CaissonError) => error.code);
    await bob.takeControl();
    relay.lifeOf = () => undefined;
    await until('alice is there again', () => attached === 2);
    expect(await written).toBe('TERMINAL_NOT_DRIVING');
    await alice.takeControl();
    await alice.write('fresh\r');
    for (const screen of screens) {
      await screen.shows('fresh\r\nfresh\r\n');
      expect(screen.text).not.toContain('stale');
    }
  });

  test('what left the scrollback meanwhile is told, and followed by a soft reset', async () => {
    await using relay = await startCuttingRelay(workspace.url);
    const cut = createCaissonClient({ url: relay.url, apiKey: workspace.apiKey });
    const terminal = await openShell('read go; seq 1 300000; echo END; read go');
    const events: TerminalEvent[] = [];
    let isAway = false;
    await using attachment = await cut.terminals.attach({
      ...terminal,
      onEvent: (event) => {
        events.push(event);
        if (event.type === 'disconnected') isAway = true;
      },
    });
    const screen = new Screen(attachment);
    await using other = await client.terminals.attach(terminal);
    const whole = new Screen(other);
    await other.takeControl();
    relay.lifeOf = () => 0;
    relay.cutAll();
    await until('it is away', () => isAway);
    await other.write('\r');
    await whole.shows('END\r\n');
    relay.lifeOf = () => undefined;
    await screen.shows('END\r\n');
    const lost = events.find((event) => event.type === 'lost');
    if (lost?.type !== 'lost') throw new Error('nothing was told');
    const [before = '', after = ''] = screen.text.split('\u0018\u001B[!p\u001B[0m\u001B(B\u000F');
    expect(before).toBe(whole.text.slice(0, lost.from));
    expect(after).toBe(whole.text.slice(lost.to));
  });

  test('a sandbox that is started again has no such terminal any more', async () => {
    const { agent } = workspace;
    const other = await client.agents.create.mutate({ name: 'restarted', wait: true });
    const { id: terminalId } = await client.terminals.open.mutate({ agentId: other.id, command: ['cat'] });
    const attachment = await client.terminals.attach({ agentId: other.id, terminalId });
    const screen = new Screen(attachment);
    await workspace.provider.stop(agentIdSchema.parse(other.id));
    await attachment.closed.then(
      (exit) => expect(exit).not.toBeNull(), // its last word came through
      (error: unknown) => expect(error).toMatchObject({ code: 'TERMINAL_NOT_FOUND' }),
    );
    await screen.done.catch(() => undefined);
    await client.terminals.open.mutate({ agentId: other.id, command: ['cat'] });
    await expect(client.terminals.attach({ agentId: other.id, terminalId })).rejects.toMatchObject({
      code: 'TERMINAL_NOT_FOUND',
    });
    expect(agent.id).not.toBe(other.id);
  });

  test('a key that is revoked ends it', async () => {
    const admin = createCaissonClient({ url: workspace.url, apiKey: workspace.adminKey });
    const { key, secret } = await admin.keys.create.mutate({ name: 'short', user: 'alice', role: 'member' });
    const terminal = await openShell('exec cat');
    const attachment = await createCaissonClient({ url: workspace.url, apiKey: secret }).terminals.attach(terminal);
    await admin.keys.revoke.mutate({ keyId: key.id });
    await expect(attachment.closed).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  });
});

describe('refusals', () => {
  test('a stranger sees neither terminal nor agent, by call or by socket', async () => {
    const terminal = await openShell('exec cat');
    const { stranger } = workspace;
    for (const call of [
      () => stranger.terminals.get.query(terminal),
      () => stranger.terminals.close.mutate(terminal),
      () => stranger.terminals.attach(terminal),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
    }
    expect((await client.terminals.get.query(terminal)).exit).toBeNull();
  });

  test('a wrong key is UNAUTHORIZED', async () => {
    const wrong = createCaissonClient({ url: workspace.url, apiKey: 'ck_wrong' });
    await expect(wrong.terminals.attach(await openShell('exec cat'))).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  });

  test('what is wrong with an attachment is told', async () => {
    const terminal = await openShell('exec cat');
    await expect(client.terminals.attach({ ...terminal, after: 99 })).rejects.toMatchObject({ code: 'CURSOR_AHEAD' });
    await expect(client.terminals.attach({ agentId, terminalId: newTerminalId() })).rejects.toMatchObject({
      code: 'TERMINAL_NOT_FOUND',
    });
  });

  test.each([
    ['text that is no message', 'nonsense', 'BAD_REQUEST'],
    ['a message that there is not', '{"type":"explode"}', 'BAD_REQUEST'],
    ['too much input at once', Buffer.alloc(70_000), 'BODY_TOO_LARGE'],
  ])('a client that sends %s is told and closed', async (_what, message, code) => {
    const { terminalId } = await openShell('exec cat');
    const url = `${workspace.url.replace('http', 'ws')}/v1/agents/${agentId}/terminals/${terminalId}?token=0123456789abcdef`;
    const socket = new RawSocket(url, ['caisson.v1'], { headers: { authorization: `Bearer ${workspace.apiKey}` } });
    const texts: string[] = [];
    socket.on('message', (data, isBinary) => {
      if (!isBinary && Buffer.isBuffer(data)) texts.push(data.toString());
    });
    socket.on('open', () => socket.send(message));
    const closed = await new Promise<number>((resolve) => socket.once('close', resolve));
    expect(closed).toBe(1008);
    expect(JSON.parse(texts.at(-1) ?? '{}')).toMatchObject({ type: 'ended', error: { code } });
  });
});
