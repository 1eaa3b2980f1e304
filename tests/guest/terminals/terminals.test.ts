import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Clock, systemClock } from '../../../src/kernel/clock.ts';
import type { OpenTerminal, Terminal } from '../../../src/wire/contract/terminals.ts';
import type { GuestClient } from '../../../src/wire/guest-client.ts';
import { until } from '../../until.ts';
import { runGuest, type RunningGuest } from '../running-guest.ts';
import { TerminalReader } from './terminal-reader.ts';

let running: RunningGuest;
let guest: GuestClient;
beforeAll(async () => {
  running = await runGuest();
  guest = await running.client();
});
afterAll(() => running[Symbol.asyncDispose]());
afterEach(async () => {
  for (const { id, exit } of await guest.terminals.list()) if (exit === null) await guest.terminals.close(id);
  for (const { id } of await guest.terminals.list()) await guest.terminals.close(id);
});

const open = (...command: string[]): Promise<Terminal> => guest.terminals.open({ command });
const openShell = (script: string): Promise<Terminal> => open('bash', '-c', script);

/** All that a command prints, and how it ends. */
async function printed(request: OpenTerminal): Promise<{ text: string; exit: unknown }> {
  const terminal = await guest.terminals.open(request);
  const reader = await TerminalReader.attach(guest, terminal);
  expect(await reader.ended).toBeUndefined();
  const { type: _, ...exit } = reader.first('exited');
  return { text: reader.text, exit };
}

describe('a new terminal', () => {
  test('runs a shell in the workspace, with an environment in which nothing of the guest is', async () => {
    const { text, exit } = await printed({
      command: ['bash', '-c', 'pwd; env | sort; ulimit -c; exit 3'],
      cols: 91,
      rows: 17,
    });
    const [workspace, home] = running.roots;
    expect(exit).toEqual({ exitCode: 3, signal: null });
    expect(text).toContain(`${workspace}\r\n`);
    for (const line of [
      'TERM=xterm-256color',
      'COLORTERM=truecolor',
      'LANG=C.UTF-8',
      `HOME=${home}`,
      'SHELL=/bin/bash',
    ]) {
      expect(text).toContain(`${line}\r\n`);
    }
    expect(text).toContain(`PATH=${home}/.local/bin:/usr/local/bin:/usr/bin:/bin`);
    expect(text).not.toMatch(/CAISSON|NODE_OPTIONS|VITEST|npm_/);
  });

  test('has the size, folder and variables that were asked for', async () => {
    await mkdir(join(running.roots[0], 'a folder'));
    const { text } = await printed({
      command: ['sh', '-c', 'stty size; pwd; echo "$GREETING"'],
      cwd: 'a folder',
      env: { GREETING: 'hällo' },
      cols: 132,
      rows: 43,
    });
    expect(Buffer.from(text, 'latin1').toString()).toBe(`43 132\r\n${running.roots[0]}/a folder\r\nhällo\r\n`);
  });

  test('tells how its program was ended by a signal', async () => {
    expect((await printed({ command: ['sh', '-c', 'kill -TERM $$'] })).exit).toEqual({
      exitCode: null,
      signal: 'SIGTERM',
    });
  });

  test('tells the exit code of a program that closed its terminal a while before', async () => {
    const { text, exit } = await printed({
      command: ['bash', '-c', 'echo last; exec 0<&- 1>&- 2>&-; sleep 0.2; exit 7'],
    });
    expect(text).toBe('last\r\n');
    expect(exit).toEqual({ exitCode: 7, signal: null });
  });

  test('ends a program that has closed its terminal and goes on', async () => {
    const terminal = await openShell('printf last; exec 0<&- 1>&- 2>&-; exec sleep 985');
    await until('it runs', async () => (await guest.terminals.get(terminal.id)).output.end === 4);
    const { exit } = await guest.terminals.close(terminal.id);
    expect(exit).toMatchObject({ exitCode: null, signal: 'SIGHUP' });
  });

  test.each([
    ['a program that is not there', { command: ['no-such-program'] }, 'There is no program "no-such-program"'],
    ['a file that cannot be run', { command: ['/etc/passwd'] }, 'There is no program "/etc/passwd"'],
    ['a folder as program', { command: ['/usr'] }, 'There is no program "/usr"'],
    ['a folder that is not there', { cwd: 'nowhere' }, 'There is no folder'],
    ['a file as folder', { cwd: '/etc/passwd' }, 'There is no folder'],
    ['no size', { cols: 0 }, 'cols'],
    ['a NUL in an argument', { command: ['echo', 'a\0b'] }, 'NUL'],
    ['a variable without a name', { env: { '': 'x' } }, 'env'],
    ['a variable whose name is two', { env: { 'a=b': 'x' } }, 'env'],
    ['too much environment', { env: { A: 'x'.repeat(40_000) } }, 'env'],
    ['no command', { command: [] }, 'command'],
  ])('%s is refused, and nothing is started', async (_what, request, message) => {
    await expect(guest.terminals.open(request)).rejects.toMatchObject({
      code: 'BAD_REQUEST',
      message: expect.stringContaining(message),
    });
    expect(await guest.terminals.list()).toEqual([]);
  });

  test('is the last when 16 are open, until one ends', async () => {
    const opened = await Promise.all(Array.from({ length: 16 }, () => open('cat')));
    await expect(open('cat')).rejects.toMatchObject({ code: 'LIMIT_REACHED', hint: expect.stringContaining('--list') });
    const [first] = opened;
    if (first === undefined) throw new Error('none was opened');
    expect((await guest.terminals.close(first.id)).exit).toMatchObject({ exitCode: null, signal: 'SIGHUP' });
    await open('true');
  });
});

describe('output', () => {
  test('any byte goes through, in both directions', async () => {
    const terminal = await openShell(
      'stty raw -echo; printf READY; head -c 4096 | tee copy >/dev/null; cat copy; sleep 60',
    );
    const reader = await TerminalReader.attach(guest, terminal);
    await reader.shows('READY');
    const bytes = Buffer.from(Array.from({ length: 4096 }, (_, at) => (at * 7) % 256));
    reader.channel.sendInput(bytes);
    await until('all came back', () => reader.bytes >= 5 + 4096);
    expect(reader.output.subarray(5)).toEqual(bytes);
  });

  test('is kept while nobody listens, and replayed after an offset', async () => {
    const terminal = await openShell('printf 0123456789; exec cat');
    await until('it was printed', async () => (await guest.terminals.get(terminal.id)).output.end === 10);
    const whole = await TerminalReader.attach(guest, terminal);
    await whole.shows('0123456789');
    const rest = await TerminalReader.attach(guest, terminal, { after: 7 });
    await rest.shows('789');
    expect([rest.text, rest.firstOffset, rest.first('attached')]).toEqual([
      '789',
      7,
      expect.objectContaining({ from: 7, end: 10 }),
    ]);
    await expect(TerminalReader.attach(guest, terminal, { after: 11 })).rejects.toMatchObject({ code: 'CURSOR_AHEAD' });
  });

  test('of a program that nobody reads goes on, and a reader is told exactly what is gone', async () => {
    const terminal = await openShell('seq 1 400000; echo END; sleep 60');
    const lines = Array.from({ length: 400_000 }, (_, at) => `${at + 1}\r\n`).join('');
    const all = `${lines}END\r\n`;
    await until('all was printed', async () => (await guest.terminals.get(terminal.id)).output.end === all.length);
    const reader = await TerminalReader.attach(guest, terminal, { after: 100 });
    await reader.shows('END\r\n');
    const { from, to } = reader.first('lost');
    expect(from).toBe(100);
    expect(all.length - to).toBeLessThanOrEqual(1024 * 1024);
    expect(all.length - to).toBeGreaterThan(1024 * 1024 - 5_000);
    expect(all.slice(to - 1, to)).toBe('\n'); // it goes on with a line
    expect(reader.text).toBe(all.slice(to));
  });

  test('of a program that ends at once is whole, also for those who come later', async () => {
    const terminal = await openShell('seq 1 20000');
    const first = await TerminalReader.attach(guest, terminal, { isSlow: true });
    await until('it has ended', async () => (await guest.terminals.get(terminal.id)).exit !== null);
    const later = await TerminalReader.attach(guest, terminal);
    expect(await later.ended).toBeUndefined();
    const all = Array.from({ length: 20_000 }, (_, at) => `${at + 1}\r\n`).join('');
    expect(later.text).toBe(all);
    expect(all.startsWith(first.text)).toBe(true);
    expect(first.bytes).toBe(Math.min(all.length, 256 * 1024));
  });

  test('of a program that ended while it had to wait is not lost', async () => {
    const terminal = await openShell('seq 1 70000; echo END');
    const slow = await TerminalReader.attach(guest, terminal, { isSlow: true });
    await until('the window is full', () => slow.bytes === 256 * 1024);
    slow.send({ type: 'ack', bytes: slow.bytes });
    await until('the next window', () => slow.text.includes('END') || slow.bytes > 300 * 1024);
    slow.send({ type: 'ack', bytes: slow.bytes });
    expect(await slow.ended).toBeUndefined();
    expect(slow.text).toBe(`${Array.from({ length: 70_000 }, (_, at) => `${at + 1}\r\n`).join('')}END\r\n`);
  });

  test('waits for the fastest reader, and a slower one falls behind without holding it up', async () => {
    const terminal = await open('yes', 'a line of output that is neither short nor very long');
    const slow = await TerminalReader.attach(guest, terminal, { isSlow: true });
    const fast = await TerminalReader.attach(guest, terminal);
    await until('the fast one has many times the window', () => fast.bytes > 6_000_000);
    expect(fast.messages.some(({ type }) => type === 'lost')).toBe(false);
    expect(slow.bytes).toBe(256 * 1024);
    slow.send({ type: 'ack', bytes: slow.bytes });
    await until('it is told what it lost', () => slow.messages.find(({ type }) => type === 'lost'));
    const { from, to } = slow.first('lost');
    expect([from, to > from]).toEqual([256 * 1024, true]);
    expect(fast.text.slice(from - 64, from)).toBe(slow.text.slice(from - 64, from));
  });

  test('is not read on while the only reader takes none, and goes on when it does', async () => {
    const terminal = await openShell('yes | head -n 1000000; echo END; sleep 60');
    const slow = await TerminalReader.attach(guest, terminal, { isSlow: true });
    await until('the window is full', () => slow.bytes === 256 * 1024);
    let last = -1;
    await until('the program waits', async () => {
      const { end } = (await guest.terminals.get(terminal.id)).output;
      if (end === last) return true;
      last = end;
      await new Promise((resolve) => setTimeout(resolve, 100));
      return false;
    });
    expect(last).toBeLessThan(1024 * 1024);
    slow.channel.close();
    await until(
      'without a reader it goes on',
      async () => (await guest.terminals.get(terminal.id)).output.end > 3_000_000,
    );
  });
});

describe('several people', () => {
  test('the first drives, the others watch: their keys and sizes count for nothing', async () => {
    const terminal = await openShell('exec cat');
    const driver = await TerminalReader.attach(guest, terminal, { name: 'alice' });
    const observer = await TerminalReader.attach(guest, terminal, { name: 'bob' });
    await until('both know', () => driver.drives && observer.situation?.driver === driver.id);
    observer.type('from the observer\n');
    observer.send({ type: 'resize', cols: 10, rows: 10 });
    driver.send({ type: 'resize', cols: 111, rows: 22 });
    driver.type('from the driver\n');
    await observer.shows('from the driver');
    expect(observer.text).not.toContain('observer');
    expect(await guest.terminals.get(terminal.id)).toMatchObject({
      cols: 111,
      rows: 22,
      driver: driver.id,
      readers: [{ name: 'alice' }, { name: 'bob' }],
    });
    await expect(guest.terminals.resize(terminal.id, { cols: 5, rows: 5 })).rejects.toMatchObject({
      code: 'TERMINAL_NOT_DRIVING',
      message: expect.stringContaining('alice'),
    });
  });

  test('control is taken, given, and free when the driver leaves; everyone is told', async () => {
    const terminal = await openShell('exec cat');
    const alice = await TerminalReader.attach(guest, terminal);
    const bob = await TerminalReader.attach(guest, terminal, { as: 'observer' });
    bob.send({ type: 'take' });
    await until('bob drives, and alice knows', () => bob.drives && alice.situation?.driver === bob.id);
    alice.send({ type: 'give' }); // it is not hers to give
    bob.send({ type: 'give', to: alice.id });
    await until('alice drives', () => alice.drives && !bob.drives);
    alice.channel.close();
    await until('nobody drives', () => bob.situation?.driver === null);
    expect(bob.situation?.readers.map(({ id }) => id)).toEqual([bob.id]);
    expect((await guest.terminals.resize(terminal.id, { cols: 77, rows: 7 })).cols).toBe(77);
    const carol = await TerminalReader.attach(guest, terminal, { as: 'auto' });
    await until('carol has the free seat', () => carol.drives);
    const dave = await TerminalReader.attach(guest, terminal, { as: 'driver' });
    await until('dave took it', () => dave.drives && carol.situation?.driver === dave.id);
  });

  test('a situation says how many takes of its reader were dealt with, those of others not counted', async () => {
    const terminal = await openShell('exec cat');
    const alice = await TerminalReader.attach(guest, terminal);
    const bob = await TerminalReader.attach(guest, terminal, { as: 'observer' });
    expect([alice.situation?.taken, bob.situation?.taken]).toEqual([0, 0]);
    bob.send({ type: 'take' });
    alice.send({ type: 'take' });
    bob.send({ type: 'take' });
    await until('all are dealt with', () => alice.situation?.taken === 1 && bob.situation?.taken === 2);
    expect(alice.situation?.driver).toBe(bob.situation?.driver);
  });

  test('a reader that comes back has its place and its seat, though its old connection still hangs', async () => {
    const terminal = await openShell('exec cat');
    const token = 'the-same-reader-again';
    const before = await TerminalReader.attach(guest, terminal, { token });
    await until('it drives', () => before.drives);
    const after = await TerminalReader.attach(guest, terminal, { token, as: 'auto' });
    expect(await before.ended).toMatchObject({ code: 'ABORTED' });
    await until('it drives again', () => after.drives);
    expect((await guest.terminals.get(terminal.id)).readers).toHaveLength(1);
  });

  test('16 may be attached, no more', async () => {
    const terminal = await openShell('exec cat');
    for (let reader = 0; reader < 16; reader++) await TerminalReader.attach(guest, terminal);
    await expect(TerminalReader.attach(guest, terminal)).rejects.toMatchObject({ code: 'LIMIT_REACHED' });
  });
});

describe('the end', () => {
  test('an ended terminal stays listed with its exit, until it is closed', async () => {
    const terminal = await openShell('exit 5');
    await until('it has ended', async () => (await guest.terminals.get(terminal.id)).exit !== null);
    expect(await guest.terminals.list()).toMatchObject([{ id: terminal.id, exit: { exitCode: 5, signal: null } }]);
    await guest.terminals.close(terminal.id);
    await expect(guest.terminals.get(terminal.id)).rejects.toMatchObject({ code: 'TERMINAL_NOT_FOUND' });
    await expect(TerminalReader.attach(guest, terminal)).rejects.toMatchObject({ code: 'TERMINAL_NOT_FOUND' });
  });

  test('of ended ones the last 16 are kept', async () => {
    for (let round = 0; round < 18; round++) {
      const { id } = await open('true');
      await until('it has ended', async () => (await guest.terminals.get(id)).exit !== null);
    }
    expect(await guest.terminals.list()).toHaveLength(16);
  });

  test('closing ends all that runs in the session, also what ignores the hang-up', async () => {
    const terminal = await openShell(`trap '' HUP; (trap '' HUP; exec sleep 987) & echo "child $!"; exec sleep 986`);
    const reader = await TerminalReader.attach(guest, terminal);
    await reader.shows('child ');
    const child = await until('the number', () => /child (\d+)\r/.exec(reader.text)?.[1]);
    expect((await guest.terminals.close(terminal.id)).exit).toMatchObject({ signal: 'SIGKILL' });
    expect(reader.first('exited').signal).toBe('SIGKILL');
    await until('the child is gone', async () =>
      /^State:\tZ/m.test(await readFile(`/proc/${child}/status`, 'utf8').catch(() => 'State:\tZ')),
    );
  });

  test('what left the session goes on', async () => {
    const flag = join(running.roots[0], 'went-on');
    const terminal = await openShell(
      `setsid sh -c 'echo left; while [ ! -e ${flag}.go ]; do sleep 0.05; done; touch ${flag}' & exec cat`,
    );
    const reader = await TerminalReader.attach(guest, terminal);
    await reader.shows('left');
    await guest.terminals.close(terminal.id);
    await writeFile(`${flag}.go`, '');
    await until(
      'it went on',
      async () =>
        await readFile(flag).then(
          () => true,
          () => false,
        ),
    );
  });
});

describe('hostile readers', () => {
  test.each([
    ['an acknowledgement of what was not sent', (reader: TerminalReader) => reader.send({ type: 'ack', bytes: 1e9 })],
    ['a size that none has', (reader: TerminalReader) => reader.send({ type: 'resize', cols: 0, rows: 1e9 })],
  ])('%s ends that reader, and no other', async (_what, misbehave) => {
    const terminal = await openShell('exec cat');
    const good = await TerminalReader.attach(guest, terminal);
    const bad = await TerminalReader.attach(guest, terminal);
    misbehave(bad);
    expect(await bad.ended).toMatchObject({ code: 'BAD_REQUEST' });
    good.type('still here\n');
    await good.shows('still here');
  });

  const deaf = 'stty raw -echo; printf READY; exec sleep 60';
  const block = Buffer.alloc(60_000, 'x');

  test('input of one reader that nobody takes is bounded', async () => {
    const terminal = await openShell(deaf);
    const reader = await TerminalReader.attach(guest, terminal);
    await reader.shows('READY');
    for (let sent = 0; sent < 12; sent++) reader.channel.sendInput(block); // 720,000 bytes, of 524,288
    expect(await reader.ended).toMatchObject({ code: 'LIMIT_REACHED' });
    const next = await TerminalReader.attach(guest, terminal, { as: 'driver' });
    await until('others are not held up', () => next.drives);
  });

  test('input of all readers together that nobody takes is bounded', async () => {
    const terminal = await openShell(deaf);
    for (const turn of ['first', 'second', 'third']) {
      const reader = await TerminalReader.attach(guest, terminal, { as: 'driver' });
      await reader.shows('READY');
      await until('it drives', () => reader.drives);
      for (let sent = 0; sent < 8; sent++) reader.channel.sendInput(block); // 480,000 bytes each: 1 MiB is passed in the third
      if (turn === 'third') expect(await reader.ended).toMatchObject({ code: 'LIMIT_REACHED' });
      else expect((await guest.terminals.get(terminal.id)).exit).toBeNull();
    }
  });

  test('a flood of sizes and seats is told as it stands, not each of them to each reader', async () => {
    const held: (() => void)[] = [];
    let stands = true;
    const standing: Clock = {
      now: () => 0,
      elapsed: () => (stands ? 0 : systemClock.elapsed()),
      schedule: (delayMs, callback) => {
        if (!stands) return systemClock.schedule(delayMs, callback);
        held.push(callback);
        return () => undefined;
      },
    };
    await using other = await runGuest({ clock: standing });
    const client = await other.client();
    const terminal = await client.terminals.open({ command: ['cat'] });
    const driver = await TerminalReader.attach(client, terminal);
    const observer = await TerminalReader.attach(client, terminal);
    for (let cols = 101; cols <= 200; cols++) {
      driver.send({ type: 'resize', cols, rows: 10 });
      driver.send({ type: 'give' });
      driver.send({ type: 'take' });
      await until('it is so wide', async () => (await client.terminals.get(terminal.id)).cols === cols);
    }
    expect(observer.messages.length).toBeLessThan(12);
    stands = false;
    for (const callback of held.splice(0)) callback();
    await until('the last is told', () => observer.situation?.cols === 200 && observer.situation.driver === driver.id);
    expect(observer.messages.length).toBeLessThan(12);
  });

  test('who attaches just before the program ends is told how it stood', async () => {
    // Until it stands still no more, what has to wait a moment is never told.
    let standsStill = true;
    const schedule: Clock['schedule'] = (delayMs, callback) =>
      standsStill ? () => undefined : systemClock.schedule(delayMs, callback);
    await using other = await runGuest({ clock: { ...systemClock, elapsed: () => 0, schedule } });
    const client = await other.client();
    const terminal = await client.terminals.open({ command: ['cat'] });
    for (let cols = 101; cols <= 120; cols++) await client.terminals.resize(terminal.id, { cols, rows: 10 });
    const ending = TerminalReader.attach(client, terminal);
    await until('it is there', async () => (await client.terminals.get(terminal.id)).readers.length === 1);
    standsStill = false; // the end of a program is looked for now and then
    await client.terminals.close(terminal.id);
    const reader = await ending;
    expect(reader.situation).toMatchObject({ cols: 120, driver: reader.id });
    expect(await reader.ended).toBeUndefined();
    expect(reader.first('exited')).toMatchObject({ signal: 'SIGHUP' });
  });

  test('a reader that takes nothing for 30 s holds the program no more', async () => {
    let passedMs = 0;
    const clock: Clock = {
      ...systemClock,
      elapsed: () => systemClock.elapsed() + passedMs,
      schedule: (delayMs, callback) => systemClock.schedule(Math.min(delayMs, 50), callback), // nobody waits for the next look
    };
    await using other = await runGuest({ clock });
    const client = await other.client();
    const terminal = await client.terminals.open({
      command: ['bash', '-c', 'yes | head -c 5000000; echo END; sleep 60'],
    });
    const dead = await TerminalReader.attach(client, terminal, { isSlow: true });
    const printed = async (): Promise<number> => (await client.terminals.get(terminal.id)).output.end;
    let last = -1;
    await until('the program waits', async () => {
      const before = last;
      last = await printed();
      await new Promise((resolve) => setTimeout(resolve, 100));
      return last === before && dead.bytes === 256 * 1024;
    });
    expect(last).toBeLessThan(1024 * 1024);
    passedMs = 31_000;
    await until('it goes on', async () => (await printed()) > 5_000_000);
    expect(dead.bytes).toBe(256 * 1024);
  });
});
