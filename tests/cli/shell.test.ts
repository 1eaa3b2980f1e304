import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { DetachKeys, parseDetachKeys } from '../../src/cli/shell/detach-keys.ts';
import { ScreenModes } from '../../src/cli/shell/screen-modes.ts';
import { TypedKeys } from '../../src/cli/shell/typed-keys.ts';
import { CaissonError } from '../../src/kernel/errors.ts';
import { startCuttingRelay } from '../client/cutting-relay.ts';
import { startFreezableWorkspace } from '../client/frozen/freezable-workspace.ts';
import { startWorkspace, type RunningWorkspace } from '../controlplane/workspace/running-workspace.ts';
import { caisson } from './command.ts';
import { Person } from './person.ts';

let workspace: RunningWorkspace;
let environment: Record<string, string>;
beforeAll(async () => {
  workspace = await startWorkspace();
  environment = { CAISSON_URL: workspace.url, CAISSON_API_KEY: workspace.apiKey };
});
afterAll(() => workspace[Symbol.asyncDispose]());

const shell = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Person =>
  new Person(['shell', ...args], { ...environment, ...env });
afterEach(() => Person.allLeave());

describe('caisson shell', () => {
  test('opens a shell of the size of the screen, follows it, and passes its exit code on', async () => {
    const person = shell(['worker']);
    await person.sees(/trm-\w{26}\. Ctrl-P Ctrl-Q leaves it running/);
    await person.sees('# ');
    person.type('stty size\r');
    await person.sees('25 90');
    person.resize(101, 31);
    person.type('sleep 0.2; stty size\r');
    await person.sees('31 101');
    person.type('exit 42\r');
    expect(await person.ended()).toBe(42);
    expect(person.text).not.toContain('[caisson]'); // its end is no change of drivers
  });

  test('a line feed of a program goes down and not back, as full-screen programs need it', async () => {
    const person = shell(['worker', '--', 'bash', '-c', 'stty raw; printf "one\\ntwo\\nEND"; read x']);
    await person.sees(/one\ntwo\nEND/);
    person.type('\r');
    person.leave();
  });

  test('runs a command, with variables and a folder', async () => {
    const person = shell([
      'worker',
      '--env',
      'GREETING=hi there',
      '--cwd',
      '/tmp',
      '--',
      'bash',
      '-c',
      'echo "$GREETING from $PWD"; kill -9 $$',
    ]);
    await person.sees('hi there from /tmp');
    expect(await person.ended()).toBe(128 + 9);
    expect(person.text).toContain('The program was ended by SIGKILL.');
  });

  test('keys and bytes go through as they are: Ctrl-C is for the program', async () => {
    const person = shell([
      'worker',
      '--',
      'bash',
      '-c',
      `trap 'echo interrupted; exit 9' INT; echo ready; while :; do sleep 0.1; done`,
    ]);
    await person.sees('ready');
    person.type('\u0003');
    await person.sees('interrupted');
    expect(await person.ended()).toBe(9);
  });

  test('is left with the detach keys, says how to come back, and comes back to what was printed', async () => {
    const person = shell([
      'worker',
      '--',
      'bash',
      '-c',
      'printf "\\033[?1049h\\033[?25l"; echo before; read x; echo "got $x"; read x',
    ]);
    const [, id = ''] = await person.sees(/(trm-\w{26})/);
    await person.sees(/before\r\n$/);
    person.type('\u0010\u0011');
    expect(await person.ended()).toBe(0);
    expect(person.text).toMatch(new RegExp(`Come back with:\r?\n {2}caisson shell worker --terminal ${id}`));
    expect(person.text).toContain('\u001B[?1049l\u001B[?25h'); // the alternate screen is left, the cursor shown
    const back = shell(['worker', '--terminal', id]);
    await back.sees(/before\r\n$/);
    back.type('again\r');
    await back.sees('got again');
    back.type('\r');
    expect(await back.ended()).toBe(0);
  });

  test('is left while the control plane stands still: a socket that cannot be closed does not hold it', async () => {
    await using frozen = await startFreezableWorkspace();
    const person = shell(['worker', '--', 'bash', '-c', 'echo ready; read x'], {
      CAISSON_URL: frozen.url,
      CAISSON_API_KEY: frozen.apiKey,
    });
    await person.sees(/ready\r\n$/);
    frozen.freeze();
    person.type('\u0010\u0011');
    expect(await person.ended()).toBe(0);
    expect(person.text).toContain('Left the terminal; it goes on.');
  });

  test('is left while keys wait for a control plane that is away', async () => {
    await using relay = await startCuttingRelay(workspace.url);
    const person = shell(['worker', '--', 'bash', '-c', 'echo ready; read x'], { CAISSON_URL: relay.url });
    await person.sees('ready');
    relay.lifeOf = () => 0;
    relay.cutAll();
    await person.sees('Trying again …');
    person.type('x'.repeat(8 * 1024)); // more than is read at once
    person.type('\u0010\u0011');
    expect(await person.ended()).toBe(0);
  });

  test('detach keys are a matter of choice', async () => {
    const person = shell(['worker', '--detach-keys', 'ctrl-],d', '--', 'cat']);
    await person.sees('Ctrl-] d leaves it running');
    person.type('\u0010\u0011 typed\r');
    await person.sees('typed');
    person.type('\u001Dd');
    expect(await person.ended()).toBe(0);
  });

  test('who comes second watches, and takes control with a key', async () => {
    const first = shell(['worker', '--', 'cat']);
    const [, id = ''] = await first.sees(/(trm-\w{26})/);
    const second = shell(['worker', '--terminal', id]);
    await second.sees('alice drives; you watch. Ctrl-P Ctrl-T takes control.');
    second.type('ignored\r');
    second.type('\u0010\u0014');
    await second.sees('You drive.');
    await first.sees('alice drives; you watch.');
    second.type('from the second\r');
    await first.sees('from the second');
    expect(first.text).not.toContain('ignored');
    second.type('\u0004');
    expect([await second.ended(), await first.ended()]).toEqual([0, 0]);
  });

  test('who only watches leaves with Ctrl-C', async () => {
    const first = shell(['worker', '--', 'bash', '-c', 'echo something; exec cat']);
    const [, id = ''] = await first.sees(/(trm-\w{26})/);
    await first.sees('something');
    const watcher = shell(['worker', '--observe', '--terminal', id]);
    await watcher.sees('something');
    watcher.type('\u0003');
    expect(await watcher.ended()).toBe(0);
    first.type('\u0004');
    expect(await first.ended()).toBe(0);
  });

  test('survives a connection that breaks', async () => {
    await using relay = await startCuttingRelay(workspace.url);
    const person = shell(['worker', '--', 'bash', '-c', 'echo ready; read x; echo "got $x"; read x'], {
      CAISSON_URL: relay.url,
    });
    await person.sees('ready');
    relay.cutAll();
    await person.sees('Trying again …');
    await person.sees('Connected again.');
    person.type('typed\r');
    await person.sees('got typed');
    person.type('\r');
    expect(await person.ended()).toBe(0);
    expect(person.text.split('ready')).toHaveLength(2);
  });

  test('lists terminals, and closes one', async () => {
    const person = shell(['worker', '--', 'sleep', '600']);
    const [, id = ''] = await person.sees(/(trm-\w{26})/);
    const { stdout } = await caisson(['shell', 'worker', '--list'], environment);
    expect(stdout.split('\n').find((line) => line.startsWith(id))).toMatch(/running .*alice .*sleep 600/);
    expect((await caisson(['shell', 'worker', '--close', '--terminal', id], environment)).exitCode).toBe(0);
    expect(await person.ended()).toBe(129);
    const { stdout: json } = await caisson(['shell', 'worker', '--list', '--json'], environment);
    expect(JSON.parse(json)).toContainEqual(
      expect.objectContaining({ id, exit: expect.objectContaining({ signal: 'SIGHUP' }) }),
    );
  });

  test.each([
    [['worker'], 1, 'There is no terminal here to type in.'],
    [['worker', '--observe'], 1, 'Say which terminal.'],
    [['worker', '--detach-keys', 'ctrl-pp'], 2, 'It must be keys such as'],
    [['nobody', '--list'], 1, 'You have no agent called nobody.'],
  ])('%j is refused', async (args, exitCode, message) => {
    const ended = await caisson(['shell', ...args], environment);
    expect([ended.exitCode, ended.stderr]).toEqual([exitCode, expect.stringContaining(message)]);
  });
});

describe('detach keys', () => {
  const read = (keys: DetachKeys, typed: string) => {
    const { bytes, command } = keys.read(Buffer.from(typed, 'latin1'));
    return [Buffer.from(bytes).toString('latin1'), command];
  };

  test('are found in pieces, and what only begins like them goes on', () => {
    const keys = new DetachKeys(parseDetachKeys('ctrl-p,ctrl-q'));
    expect(read(keys, 'abc')).toEqual(['abc', undefined]);
    expect(read(keys, 'x\u0010')).toEqual(['x', undefined]);
    expect(read(keys, 'y')).toEqual(['\u0010y', undefined]);
    expect(read(keys, '\u0010\u0010')).toEqual(['\u0010', undefined]);
    expect(read(keys, '\u0011rest')).toEqual(['', 'detach']);
    expect(read(keys, '\u0010\u0014')).toEqual(['', 'take']);
  });

  test('may be one key', () => {
    expect(read(new DetachKeys(parseDetachKeys('ctrl-]')), 'a\u001Db')).toEqual(['a', 'detach']);
  });
});

describe('typed keys', () => {
  const waiting = () => {
    const written: Uint8Array[] = [];
    const taken = Promise.withResolvers<void>();
    const write = async (keys: Uint8Array | string): Promise<void> => {
      written.push(Buffer.from(keys));
      await taken.promise;
    };
    return { written, taken, attachment: { write } };
  };
  const sizes = (pieces: readonly Uint8Array[]): number[] => pieces.map(({ length }) => length);
  const half = new Uint8Array(512 * 1024);
  const key = new Uint8Array(1);

  test('wait up to a MiB; one more is dropped with a bell, until some were taken', async () => {
    let bells = 0;
    const keys = new TypedKeys(() => void bells++);
    const { written, taken, attachment } = waiting();
    const typing = [half, half].map((bytes) => keys.type(attachment, bytes));
    await keys.type(attachment, key);
    expect([sizes(written), bells]).toEqual([[half.length, half.length], 1]);
    taken.resolve();
    await Promise.all(typing);
    await keys.type(attachment, key);
    expect([sizes(written), bells]).toEqual([[half.length, half.length, 1], 1]);
  });

  test('of an observer are told by a bell, and those of who has left by nothing', async () => {
    let bells = 0;
    const keys = new TypedKeys(() => void bells++);
    for (const code of ['TERMINAL_NOT_DRIVING', 'TERMINAL_NOT_FOUND'] as const) {
      const write = (): Promise<void> => Promise.reject(new CaissonError(code, 'No.'));
      await keys.type({ write }, key);
    }
    expect(bells).toBe(1);
  });
});

test('screen modes are followed over the edges of chunks', () => {
  const modes = new ScreenModes();
  for (const piece of ['\u001B[?10', '49h text \u001B[?1000;1006h\u001B[?25l', '\u001B[?1006', 'l', '\u001B[31mred'])
    modes.see(Buffer.from(piece));
  expect(modes.undo()).toBe('\u001B[?1049l\u001B[?1000l\u001B[?25h\u001B>\u001B[0m');
  expect(modes.undo()).toBe('\u001B>\u001B[0m');
});
