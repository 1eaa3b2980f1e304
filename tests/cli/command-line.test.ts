import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CaissonError } from '../../src/kernel/errors.ts';
import { type AgentId, type ConversationId, newUserId } from '../../src/kernel/ids.ts';
import { commandTable } from '../../src/cli/command-table.ts';
import { Browser } from '../controlplane/login/browser.ts';
import { startServer, type RunningServer } from '../controlplane/running-server.ts';
import { until } from '../until.ts';
import { closedAddress } from './closed-address.ts';
import { caisson, CliProcess, type Ended } from './command.ts';
import { playNextTurn } from './player.ts';

let server: RunningServer;
let environment: Record<string, string>;
const cli = (...args: string[]): Promise<Ended> => caisson(args, environment);

beforeAll(async () => {
  server = await startServer({ limits: { agents: 100 } });
  environment = { CAISSON_URL: server.url, CAISSON_API_KEY: server.alice.secret };
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function newAgent(name: string): Promise<AgentId> {
  const { stdout } = await cli('agents', 'create', name, '--wait', '--json');
  return (JSON.parse(stdout) as { id: AgentId }).id;
}

describe('the command line itself', () => {
  test('--version prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(await cli('--version')).toEqual({ exitCode: 0, stdout: `${version}\n`, stderr: '' });
  });

  test('help of everything goes to stdout', async () => {
    const { exitCode, stdout } = await cli('help', 'agents');
    expect(exitCode).toBe(0);
    expect(stdout).toContain('delete <agent>');
    expect((await cli('help', 'agents', 'create')).stdout).toBe((await cli('agents', 'create', '--help')).stdout);
    expect((await cli('agents', '--help', 'create')).stdout).toBe((await cli('agents', '--help')).stdout);
  });

  test('a command of a group is the same whether it is loaded alone or with the others', async () => {
    for (const [name, { load }] of Object.entries(commandTable)) {
      const { commands } = await load();
      for (const command of commands) {
        const alone = await load(command.name());
        expect(alone.commands.map((each) => each.name())).toEqual(commands.map((each) => each.name()));
        const same = alone.commands.find((each) => each.name() === command.name());
        expect(same?.helpInformation(), `${name} ${command.name()}`).toBe(command.helpInformation());
      }
    }
    expect((await cli('agents', 'lst')).stderr).toMatch(/unknown command 'lst'\n\(Did you mean list\?\)/);
    expect((await cli('egress', 'help', 'permit')).stdout).toContain('Usage: caisson egress permit');
  });

  test('helps break lines between sentences only, and name defaults that mean something; no option swallows arguments', async () => {
    for (const [name, { load }] of Object.entries(commandTable)) {
      for (const command of [await load()].flatMap((loaded) => [loaded, ...loaded.commands])) {
        const lines = command.description().split('\n');
        expect(
          lines.filter((line) => !/^$|[.:]$/.test(line)),
          `${name} ${command.name()}`,
        ).toEqual([]);
        const swallowing = command.options.filter(({ variadic }) => variadic);
        expect(swallowing, 'it takes the arguments that follow for its own').toEqual([]);
        const odd = command.options.filter(
          ({ defaultValue, defaultValueDescription }) =>
            typeof defaultValue === 'object' && defaultValueDescription === undefined,
        );
        expect(
          odd.map(({ long }) => long),
          `${name} ${command.name()}`,
        ).toEqual([]);
      }
    }
    const { stdout } = await caisson(['kill', '--help'], { npm_package_name: 'caisson' });
    expect(stdout).toContain('(default: 5s)');
    expect(stdout).toMatch(/\(default:\s+SIGTERM\)/);
    expect(stdout).toContain('as `npm run -s caisson -- ps` shows');
  });

  test('a key that does not work and a wrong value are told in words of the command line, not of HTTP', async () => {
    const { stderr } = await caisson(['agents', 'list'], { ...environment, CAISSON_API_KEY: 'ck_wrong' });
    expect(stderr).toContain(
      'hint: Correct CAISSON_API_KEY, or unset it: then the key in /nonexistent/admin.key is used.',
    );
    expect((await cli('agents', 'create', 'Not a name')).stderr).toContain(
      'hint: `caisson agents create --help` tells what can be given.',
    );
  });

  test.for([
    [['agnts'], "error: unknown command 'agnts'"],
    [['agents', 'create'], "error: missing required argument 'name'"],
    [['agents', 'list', '--jsn'], "error: unknown option '--jsn'"],
    [['events', 'x', '--after', '-1'], 'It must be a whole number'],
    [['send', 'x', 'y', '--timeout', 'soon'], 'It must be a time such as 30s, 15m, 1h or 7d, at least 1s'],
    [['shell', 'x', '--timeout'], "error: unknown option '--timeout'"],
    [['preview', 'x', '99999'], "error: '99999' is invalid for argument 'port'. It must be a whole number"],
    [['kill', 'x', '1', '--grace', '61s'], 'at most 60s'],
    [['keys', 'create', 'x', '--expires', '30'], "argument '30' is invalid. It needs a unit: 30s, 30m, 30h or 30d."],
    [['users', 'invite', 'x', '--expires', '30'], 'It needs a unit'],
    [['users', 'login-link', 'x', '--expires', '30'], 'It needs a unit'],
    [['preview', 'x', '80', '--expires', '60'], 'It needs a unit: 60s, 60m, 60h or 60d.'],
    [['egress', 'allow', 'x', 'example.com', '--for', '2'], 'It needs a unit'],
    [['audit', 'search', '--since', '7'], 'It needs a unit'],
    [['shell', 'x', 'ls', '-l'], 'hint: What is run stands after --: `caisson shell <agent> -- ls -l`'],
    [['permissions', 'answer', 'x', '--allow', '--reject'], 'cannot be used with option'],
    [['send', 'x', 'say', 'hello'], 'hint: The text is one argument: put it in quotes.'],
  ] as const)('a wrong usage ends with 2 and a hint: %j', async ([args, message]) => {
    const { exitCode, stdout, stderr } = await cli(...args);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
    expect(stderr).toMatch(/\nhint: .*`caisson /);
  });

  test.for([
    [['exec', 'x', '--timeout', '0', '--', 'true'], "option '--timeout <time>' argument '0' is invalid"],
    [['exec', 'x', 'ls', '-l'], 'hint: What is run stands after --: `caisson exec <agent> -- ls -l`'],
    [['exec', 'x'], "error: missing required argument 'command'"],
  ] as const)('a wrong usage of exec ends with 125, since 2 is what programs end with: %j', async ([args, message]) => {
    const { exitCode, stderr } = await cli(...args);
    expect(exitCode).toBe(125);
    expect(stderr).toContain(message);
  });

  test('how long is waited is seconds where no unit is given, and the help says so', async () => {
    for (const command of [['send'], ['runs', 'start'], ['runs', 'wait'], ['exec'], ['kill']]) {
      const { stdout } = await cli(...command, '--help');
      expect(stdout.replaceAll(/\s+/g, ' '), command.join(' ')).toContain('a plain number is seconds');
    }
    // It is read, and then there is no such run.
    expect((await cli('runs', 'wait', 'nope', '--timeout', '90')).stderr).toContain('No run has this id.');
  });

  test('helps with long arguments are 80 columns wide at most', async () => {
    for (const command of [[], ['files'], ['quotas']]) {
      const { stdout } = await cli(...command, '--help');
      expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
    }
  });

  test('an error is two lines on stderr and ends with 1', async () => {
    expect(await cli('agents', 'show', 'nobody')).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: 'error: You have no agent called nobody.\nhint: List your agents with `caisson agents list`.\n',
    });
  });

  test.for([
    [['runs', 'wait', 'nope'], 'No run has this id.', 'caisson runs list <agent>'],
    [['conversations', 'show', 'nope'], 'No conversation has this id.', 'caisson conversations list <agent>'],
    [['permissions', 'answer', 'nope', '--allow'], 'No permission request has this id.', 'caisson permissions list'],
    [['agents', 'show', 'agt-nope'], 'No agent has this id.', 'caisson agents list'],
  ] as const)('an id that is not written like one is one that nothing has: %j', async ([args, message, list]) => {
    const { exitCode, stderr } = await cli(...args);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(new RegExp(`^error: ${message}\nhint: .*\`${list}\``));
  });

  test('a control plane that is away ends with 4 and names its address', async () => {
    const url = await closedAddress();
    const { exitCode, stderr } = await caisson(['agents', 'list'], { CAISSON_URL: url, CAISSON_API_KEY: 'ck_x' });
    expect(exitCode).toBe(4);
    expect(stderr).toBe(
      `error: No control plane answers at ${url}: connection refused.\nhint: Start it with \`npm start\`, or set CAISSON_URL.\n`,
    );
  });

  test('without a key it says where one comes from', async () => {
    const { exitCode, stderr } = await caisson(['agents', 'list'], { CAISSON_URL: server.url });
    expect(exitCode).toBe(1);
    expect(stderr).toContain('CAISSON_API_KEY is not set, and /nonexistent/admin.key cannot be read.');
    expect(stderr).toContain('hint: A first start makes the key, before it says `is ready`.');
  });

  test("without CAISSON_API_KEY the administrator's key of the data directory is used", async () => {
    const directory = await mkdtemp(join(tmpdir(), 'caisson-cli-'));
    await writeFile(join(directory, 'admin.key'), `${server.admin.secret}\n`);
    const { exitCode } = await caisson(['keys', 'list'], { CAISSON_URL: server.url, CAISSON_DATA_DIR: directory });
    await rm(directory, { recursive: true });
    expect(exitCode).toBe(0);
  });

  test('a stack is shown only when it is asked for', async () => {
    const { stderr } = await caisson(['agents', 'show', 'nobody'], { ...environment, CAISSON_DEBUG: '1' });
    expect(stderr).toMatch(/CaissonError: .*\n +at /);
  });
});

test('a Node that is too old is told how to use that of a clone', async () => {
  const old = `data:text/javascript,Object.defineProperty(process.versions,'node',{value:'20.1.0'})`;
  const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', old, main, '--version']);
  const [stderr] = await Promise.all([text(child.stderr), once(child, 'close')]);
  expect(child.exitCode).toBe(1);
  expect(stderr).toContain('Caisson needs Node 24 or later; this is 20.1.0.');
  expect(stderr).toContain('export PATH="<clone>/node_modules/.bin:$PATH"');
});

describe('agents', () => {
  test('create prints the name and the id; --json the agent', async () => {
    const { exitCode, stdout } = await cli('agents', 'create', 'first', '--wait');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^Created first agt-[0-9a-z]{26}\n$/);
    const { stdout: json } = await cli('agents', 'show', 'first', '--json');
    expect(JSON.parse(json)).toMatchObject({
      agent: { name: 'first', sandbox: { state: 'running' } },
      activity: 'idle',
    });
  });

  test('create says that the agent is there where its sandbox is not, waiting for it or not', async () => {
    const asBob = { ...environment, CAISSON_API_KEY: server.bob.secret };
    const asAdmin = { ...environment, CAISSON_API_KEY: server.admin.secret };
    await caisson(['quotas', 'set', 'bob', 'running_sandboxes=0'], asAdmin);
    const created = await caisson(['agents', 'create', 'roomless'], asBob);
    await caisson(['quotas', 'set', 'bob', 'running_sandboxes=default'], asAdmin);
    await caisson(['agents', 'delete', 'roomless', '--yes'], asBob);
    expect(created).toEqual({
      exitCode: 0,
      stdout: expect.stringMatching(/^Created roomless agt-/),
      stderr:
        'Its sandbox was not started: The running_sandboxes quota of this user has no room: 0 of 0 are used.\n' +
        'Talk to it: caisson chat roomless\n',
    });
    server.sandboxes.startError = new CaissonError('HOST_DISK_FULL', 'The disk is nearly full.');
    const awaited = await cli('agents', 'create', 'awaited', '--wait');
    server.sandboxes.startError = undefined;
    expect(awaited).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining(
        'error: Agent awaited is there, but its sandbox did not start: The disk is nearly full.\n',
      ),
    });
  });

  test('list shows ids whole, also where the table is narrow', async () => {
    const id = await newAgent('listed');
    const { stdout } = await cli('agents', 'list');
    expect(stdout.split('\n').find((line) => line.startsWith('listed'))).toContain(` ${id} `);
    expect(JSON.parse((await cli('agents', 'list', '--json')).stdout)).toContainEqual(expect.objectContaining({ id }));
  });

  test('an empty list says so on stderr only', async () => {
    const { stdout, stderr } = await caisson(['agents', 'list'], {
      ...environment,
      CAISSON_API_KEY: server.bob.secret,
    });
    expect([stdout, stderr]).toEqual(['', 'No agents. Create one: caisson agents create <name>\n']);
  });

  test('administrators see whose agents are, and name those of others where that is clear', async () => {
    const id = await newAgent('hers');
    const asAdmin = { ...environment, CAISSON_API_KEY: server.admin.secret };
    const { stdout } = await caisson(['agents', 'list'], asAdmin);
    expect(stdout.split('\n').find((line) => line.startsWith('hers'))).toMatch(/^hers +alice +agt-/);
    expect((await cli('agents', 'list')).stdout).not.toContain('owner');
    expect(JSON.parse((await caisson(['agents', 'show', 'hers', '--json'], asAdmin)).stdout)).toMatchObject({
      agent: { id, ownerName: 'alice' },
    });
    expect(await caisson(['agents', 'delete', 'hers', '--yes'], asAdmin)).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: `error: You have no agent called hers; it is alice's (${id}).\nhint: Use its id if you mean that one.\n`,
    });
    await caisson(['agents', 'create', 'hers'], { ...environment, CAISSON_API_KEY: server.bob.secret });
    const unclear = await caisson(['agents', 'show', 'hers'], asAdmin);
    expect([unclear.exitCode, unclear.stderr]).toEqual([1, expect.stringContaining(`${id} (alice)`)]);
    expect(unclear.stderr).toContain('bob and alice have an agent called hers.');
  });

  test('delete needs --yes where nobody can be asked', async () => {
    await newAgent('kept');
    const { exitCode, stderr } = await cli('agents', 'delete', 'kept');
    expect([exitCode, stderr]).toEqual([
      1,
      'error: Deleting an agent needs --yes where nobody can be asked.\nhint: caisson agents delete kept --yes\n',
    ]);
    expect((await cli('agents', 'show', 'kept')).exitCode).toBe(0);
  });

  test('delete removes it by id, and is content when it is not there', async () => {
    const id = await newAgent('gone');
    expect(await cli('agents', 'delete', id, '--yes')).toMatchObject({ exitCode: 0, stdout: `Deleted gone ${id}\n` });
    expect(await cli('agents', 'delete', id, '--yes')).toMatchObject({
      exitCode: 0,
      stdout: '',
      stderr: `There is no agent ${id}; nothing was deleted.\n`,
    });
  });
});

describe('send', () => {
  test('the answer goes to stdout, progress to stderr', async () => {
    const agentId = await newAgent('sender');
    const sent = cli('send', 'sender', 'hello');
    await playNextTurn(server, agentId, async (turn) => {
      await turn.speak('I look.');
      await turn.runCommand('ls', 'a.txt\nb.txt\n');
      await turn.speak('Two files.');
      await turn.end();
    });
    expect(await sent).toEqual({
      exitCode: 0,
      stdout: 'I look.\n\nTwo files.\n',
      stderr: '  run   ls\n        a.txt\n        b.txt\n',
    });
  });

  test('--json prints one object, and the text can come from stdin', async () => {
    const agentId = await newAgent('json-sender');
    const sent = caisson(['send', 'json-sender', '-', '--json', '-q'], environment, 'two\nlines\n');
    const turn = await playNextTurn(server, agentId, async (played) => {
      await played.speak('Yes.');
      await played.end();
    });
    const { exitCode, stdout, stderr } = await sent;
    expect(turn.text).toBe('two\nlines\n');
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toMatchObject({ run: { id: turn.runId, state: 'completed' }, reply: 'Yes.' });
  });

  test('a run that did not complete ends with 3 and its reason on stderr', async () => {
    const agentId = await newAgent('failing');
    const sent = cli('send', 'failing', 'x');
    const { runId } = await playNextTurn(server, agentId, (turn) =>
      turn.end({ state: 'failed', reason: 'model_error', message: 'The service answered 500.' }),
    );
    expect(await sent).toEqual({
      exitCode: 3,
      stdout: '',
      stderr: `error: run ${runId} failed (model_error): The service answered 500.\n`,
    });
  });

  test('without a terminal it says how a permission request is answered, and goes on when it is', async () => {
    const agentId = await newAgent('asker');
    const sent = new CliProcess(['send', 'asker', 'push'], environment);
    sent.child.stdin.end();
    const played = playNextTurn(server, agentId, async (turn) => {
      await turn.speak(`The answer was ${(await turn.ask('git push')) ?? 'none'}.`);
      await turn.end();
    });
    await sent.says('--allow | --reject');
    const [permissionId = ''] = /prm-[0-9a-z]{26}/.exec(sent.stderr) ?? [];
    expect((await cli('permissions', 'list')).stdout).toContain(permissionId);
    expect(await cli('permissions', 'answer', permissionId, '--allow')).toMatchObject({ exitCode: 0 });
    await played;
    expect(await sent.ended()).toMatchObject({ exitCode: 0, stdout: 'The answer was yes.\n' });
    expect((await cli('permissions', 'answer', permissionId, '--allow')).stderr).toContain('The request is resolved');
  });

  test('Ctrl-C cancels the run and waits for its end', async () => {
    const agentId = await newAgent('canceled');
    const sent = new CliProcess(['send', 'canceled', 'long'], environment);
    const played = playNextTurn(server, agentId, async (turn) => {
      await turn.runCommand('sleep', 'started\n');
      await turn.canceled();
      await turn.end({ state: 'canceled', reason: 'canceled_by_user', message: '' });
    });
    await sent.says('started');
    sent.child.kill('SIGINT');
    await played;
    const { exitCode, stderr } = await sent.ended();
    expect(exitCode).toBe(130);
    expect(stderr).toContain('canceled (canceled_by_user): it was canceled');
  });

  test('the next message goes to the same conversation, with --new to another', async () => {
    const agentId = await newAgent('talker');
    const say = async (...more: string[]): Promise<string> => {
      const sent = cli('send', 'talker', 'x', ...more);
      const { conversationId } = await playNextTurn(server, agentId, (turn) => turn.end());
      await sent;
      return conversationId;
    };
    const first = await say();
    expect(await say()).toBe(first);
    const second = await say('--new');
    expect(second).not.toBe(first);
    expect(await say('--conversation', first)).toBe(first);
    expect(JSON.parse((await cli('conversations', 'list', 'talker', '--json')).stdout)).toHaveLength(2);
  });

  test('a conversation of another agent is refused', async () => {
    await newAgent('one');
    await newAgent('other');
    const { stdout } = await cli('conversations', 'open', 'other');
    const { exitCode, stderr } = await cli('send', 'one', 'x', '--conversation', stdout.trim());
    expect(exitCode).toBe(1);
    expect(stderr).toContain('is not a conversation of one.');
  });
});

describe('runs', () => {
  test('start prints the id, wait the end; the same idempotency key gives the same run', async () => {
    const agentId = await newAgent('runner');
    const start = (): Promise<Ended> => cli('runs', 'start', 'runner', 'go', '--idempotency-key', 'k1');
    const runId = (await start()).stdout.trim();
    expect((await start()).stdout.trim()).toBe(runId);
    expect((await cli('runs', 'wait', runId, '--timeout', '1ms')).exitCode).toBe(3);
    const waited = cli('runs', 'wait', runId);
    await playNextTurn(server, agentId, (turn) => turn.end());
    expect(await waited).toMatchObject({ exitCode: 0, stdout: 'completed (end_turn): it is done\n' });
    const listed = JSON.parse((await cli('runs', 'list', 'runner', '--json')).stdout) as { id: string }[];
    expect(listed.map(({ id }) => id)).toEqual([runId]);
  });

  test('cancel stops a run; one that is over is refused', async () => {
    const agentId = await newAgent('stopper');
    const runId = (await cli('runs', 'start', 'stopper', 'go')).stdout.trim();
    const played = playNextTurn(server, agentId, async (turn) => {
      await turn.canceled();
      await turn.end({ state: 'canceled', reason: 'canceled_by_user', message: '' });
    });
    expect((await cli('runs', 'cancel', runId)).stdout).toBe(`Asked ${runId} to stop\n`);
    await played;
    expect((await cli('runs', 'wait', runId)).exitCode).toBe(3);
    expect((await cli('runs', 'cancel', runId)).stderr).toContain('is over');
  });
});

describe('conversations', () => {
  test('are opened with a model and a mode, and configured; none is chosen with --no-model and --no-mode', async () => {
    const agentId = await newAgent('chooser');
    const opened = await cli('conversations', 'open', 'chooser', '--model', 'small', '--mode', 'plan', '--json');
    const { id } = JSON.parse(opened.stdout) as { id: ConversationId };
    expect((await cli('conversations', 'list', 'chooser')).stdout).toMatch(/ model +mode +.*\n.* small +plan +/);
    expect(await cli('conversations', 'configure', id, '--mode', 'ask', '--no-model')).toEqual({
      exitCode: 0,
      stdout: 'From the next turn on: model default, mode ask\n',
      stderr: '',
    });
    const { stdout } = await cli('conversations', 'show', id);
    expect(stdout).toMatch(/^model +the agent's$/m);
    expect(stdout).toMatch(/^mode +ask$/m);
    const nothing = await cli('conversations', 'configure', id);
    expect([nothing.exitCode, nothing.stderr]).toEqual([
      1,
      'error: There is nothing to change.\nhint: Give --model, --mode or both.\n',
    ]);

    expect((await cli('agents', 'show', 'chooser')).stdout).toMatch(/^modes to choose +known after/m);
    const named = (name: string) => ({ id: name, name });
    const offer = { modes: [named('ask'), named('plan')], models: [], mode: 'ask', model: null };
    const opening = { type: 'session.opened', conversationId: id, sessionId: 's', how: 'new', ...offer } as const;
    await server.sandboxes.currentGuest(agentId)?.say(opening);
    const shown = (await cli('agents', 'show', 'chooser')).stdout;
    expect(shown).toMatch(/^modes to choose +ask, plan$/m);
    expect(shown).toMatch(/^models to choose +none$/m);
  });
});

describe('events and history', () => {
  test('events prints one object a line, with seq and type, after the number that is given', async () => {
    const agentId = await newAgent('eventful');
    const sent = cli('send', 'eventful', 'x');
    await playNextTurn(server, agentId, async (turn) => {
      await turn.speak('a b c');
      await turn.end();
    });
    await sent;
    const { stdout } = await cli('events', 'eventful');
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { seq: number; type: string });
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
    expect(events.map(({ type }) => type)).toContain('message.completed');
    const last = events.length;
    expect(JSON.parse((await cli('events', 'eventful', '--after', String(last - 1))).stdout)).toMatchObject({
      seq: last,
    });
    expect((await cli('history', 'eventful')).stdout).toMatch(/user {2}\S.*\nx\n\neventful {2}\S.*\na b c\n$/);
  });

  test('events and --json hold nothing that a terminal obeys or hides', async () => {
    const agentId = await newAgent('disguised');
    const sent = new CliProcess(['send', 'disguised', 'go'], environment);
    sent.child.stdin.end();
    await playNextTurn(server, agentId, async (turn) => {
      await turn.speak('a\u009B31m\u202Eb');
      await turn.end();
    });
    await sent.ended();
    for (const command of [
      ['events', 'disguised'],
      ['history', 'disguised', '--json'],
    ]) {
      const { stdout } = await cli(...command);
      expect(stdout).toContain('a\\u009b31m\\u202eb');
      expect(stdout).not.toMatch(/[\u007f-\u009f\p{Cf}]/u);
    }
  });

  test('events --follow goes on with those that come, until it is stopped', async () => {
    const agentId = await newAgent('followed');
    const follower = new CliProcess(['events', 'followed', '--follow'], environment);
    const sent = cli('send', 'followed', 'x');
    await playNextTurn(server, agentId, (turn) => turn.end());
    await sent;
    await until('the end of the run', () => follower.stdout.includes('"type":"run.completed"'));
    follower.child.kill('SIGTERM');
    await follower.ended();
  });

  test('a reader that has enough is no error', async () => {
    await newAgent('piped');
    const events = new CliProcess(['events', 'piped', '--follow'], environment);
    await new Promise((resolve) => events.child.stdout.once('data', resolve));
    events.child.stdout.destroy();
    await cli('conversations', 'open', 'piped');
    expect(await events.ended()).toMatchObject({ exitCode: 0, stderr: '' });
  });
});

describe('keys', () => {
  test('create shows the secret on stdout alone, and it works until it is revoked', async () => {
    const asAdmin = { ...environment, CAISSON_API_KEY: server.admin.secret };
    const { stdout, stderr } = await caisson(['keys', 'create', 'carol', '--new-user', '--name', 'laptop'], asAdmin);
    const asCarol = { ...environment, CAISSON_API_KEY: stdout.trim() };
    expect((await caisson(['agents', 'list'], asCarol)).exitCode).toBe(0);
    const [keyId = ''] = /key-[0-9a-z]{26}/.exec(stderr) ?? [];
    expect((await caisson(['keys', 'list'], asCarol)).stdout).toContain('laptop');
    expect((await caisson(['keys', 'revoke', keyId], asAdmin)).stdout).toBe(`Revoked ${keyId} of carol\n`);
    expect((await caisson(['agents', 'list'], asCarol)).stderr).toContain('error: ');
  });

  test('create makes no user of a name that is mistyped, unless one is asked for', async () => {
    const asAdmin = { ...environment, CAISSON_API_KEY: server.admin.secret };
    const mistyped = await caisson(['keys', 'create', 'allice'], asAdmin);
    expect(mistyped).toMatchObject({ exitCode: 1, stdout: '' });
    expect(mistyped.stderr).toMatch(/^error: There is no user allice\.\nhint: .*users list.*--new-user/);
    expect((await caisson(['users', 'list'], asAdmin)).stdout).not.toContain('allice');
    const robot = ['keys', 'create', 'robot', '--new-user', '--role', 'auditor'];
    for (const args of [robot, robot, ['keys', 'create', 'robot']]) {
      expect((await caisson(args, asAdmin)).stderr).toContain('of robot (auditor)');
    }
    const { stderr } = await caisson(['keys', 'create', 'robot', '--role', 'admin'], asAdmin);
    expect(stderr).toContain('exists already, as auditor');
  });

  test('create takes the id of a user too', async () => {
    const asAdmin = { ...environment, CAISSON_API_KEY: server.admin.secret };
    const { userId } = server.bob.principal;
    expect((await caisson(['keys', 'create', userId], asAdmin)).stderr).toContain('of bob (member)');
    for (const unknown of [newUserId(), 'usr-bot']) {
      const refused = await caisson(['keys', 'create', unknown], asAdmin);
      expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(`There is no user ${unknown}.`) });
    }
  });

  test('create narrows a key to scopes, agents and a time', async () => {
    const asAdmin = { ...environment, CAISSON_API_KEY: server.admin.secret };
    await newAgent('narrow');
    const args = ['--scope', 'view', '--scope', 'oversee', '--agent', 'narrow', '--expires', '2h', '--json'];
    const { stdout } = await caisson(['keys', 'create', 'alice', ...args], asAdmin);
    const { key, secret } = JSON.parse(stdout) as { key: { expiresAt: number }; secret: string };
    expect(key).toMatchObject({ scopes: ['view', 'oversee'], agents: [expect.stringMatching(/^agt-/)] });
    expect(key.expiresAt).toBeGreaterThan(Date.now() + 3_600_000);
    const narrow = { ...environment, CAISSON_API_KEY: secret };
    const list = await caisson(['agents', 'list', '--json'], narrow);
    expect(JSON.parse(list.stdout)).toMatchObject([{ name: 'narrow', access: 'view' }]);
    expect(await caisson(['agents', 'delete', 'narrow', '--yes'], narrow)).toMatchObject({ exitCode: 1 });
    const wrong = await caisson(['keys', 'create', 'alice', '--scope', 'all'], asAdmin);
    expect([wrong.exitCode, wrong.stderr]).toEqual([2, expect.stringContaining('Allowed choices are view, use')]);
  });

  test('a member may not create keys', async () => {
    expect(await cli('keys', 'create', 'eve')).toMatchObject({ exitCode: 1, stdout: '' });
  });
});

describe('users', () => {
  test('are invited, come in, are disabled, enabled and deleted', async () => {
    const asAdmin = { ...environment, CAISSON_API_KEY: server.admin.secret };
    const invited = await caisson(['users', 'invite', 'ida', '--expires', '2h'], asAdmin);
    expect(invited.stderr).toMatch(
      /^Invited ida \(member\).* where they have the command line, by: caisson users accept /,
    );
    const nobody = { CAISSON_URL: server.url };
    const accepted = await caisson(['users', 'accept', invited.stdout.trim()], nobody);
    expect(accepted.stderr).toContain('You are ida (member)');
    const asIda = { ...environment, CAISSON_API_KEY: accepted.stdout.trim() };
    expect((await caisson(['agents', 'create', 'of-ida', '--wait'], asIda)).exitCode).toBe(0);
    expect((await caisson(['users', 'accept', invited.stdout.trim()], nobody)).stderr).toContain('or it was used');
    expect((await caisson(['users', 'list'], asIda)).exitCode).toBe(1);
    expect((await caisson(['users', 'list'], asAdmin)).stdout).toMatch(/ida\s+usr-\w{26}\s+member\s+active/);
    expect((await caisson(['users', 'disable', 'ida'], asAdmin)).stdout).toBe(
      'Disabled ida. Ended: keys and sessions 1, runs 0, sandboxes 1\n',
    );
    expect((await caisson(['agents', 'list'], asIda)).exitCode).toBe(1);
    expect((await caisson(['users', 'enable', 'ida'], { ...asAdmin, npm_package_name: 'caisson' })).stdout).toBe(
      'Enabled ida. It needs a new key (npm run -s caisson -- keys create) or a new password (npm run -s caisson -- users login-link).\n',
    );
    expect((await caisson(['users', 'delete', 'ida'], asAdmin)).stderr).toContain('needs --yes');
    expect((await caisson(['users', 'delete', 'ida', '--with-agents'], asAdmin)).stderr).toContain(
      '--with-agents --yes',
    );
    expect((await caisson(['users', 'delete', 'ida', '--yes'], asAdmin)).stderr).toContain('ida owns agents');
    expect((await caisson(['users', 'delete', 'ida', '--yes', '--with-agents'], asAdmin)).stdout).toBe(
      'Deleted ida and 1 agent\n',
    );
    expect((await caisson(['users', 'disable', 'ida'], asAdmin)).stderr).toContain('There is no user ida.');
  });
});

describe('browsers', () => {
  test('are let in by links, listed and signed out', async () => {
    const asAdmin = { ...environment, CAISSON_API_KEY: server.admin.secret };
    const invited = await caisson(['users', 'invite', 'eva', '--email', 'eva@example.com'], asAdmin);
    expect(invited.stdout).toMatch(/^http:\/\/localhost:\d+\/invitation#ci_[\w-]{43}\n$/);
    expect(invited.stderr).toContain('They open this link');
    expect((await caisson(['users', 'login-link', 'bob'], asAdmin)).stderr).toContain('--email');
    const link = await caisson(['users', 'login-link', 'bob', '--email', 'bob@example.com'], asAdmin);
    expect(link.stdout).toMatch(/^http:\/\/localhost:\d+\/invitation#ci_[\w-]{43}\n$/);
    const asBob = { ...environment, CAISSON_API_KEY: server.bob.secret };
    expect((await caisson(['sessions', 'list'], asBob)).stderr).toContain('No browser is signed in');
    const browser = new Browser(server);
    const invitation = link.stdout.trim().split('#')[1] ?? '';
    const password = 'correct horse battery';
    await browser.submit('/invitation', { invitation, password, repeated: password });
    const { stdout: listed } = await caisson(['sessions', 'list', '--json'], asBob);
    const [{ id } = { id: '' }] = JSON.parse(listed) as { id: string }[];
    expect((await caisson(['sessions', 'end', id], asBob)).stdout).toBe(`Signed out ${id}\n`);
    expect((await caisson(['sessions', 'end', id], asBob)).stderr).toContain(`You have no session ${id}`);
    expect((await caisson(['sessions', 'end'], asBob)).stdout).toBe('Signed out 0\n');
    expect((await browser.open('/account')).location).toBe('/login');
  });
});

describe('agents that are shared', () => {
  test('are found by their name, listed with their owner, and taken back', async () => {
    const asBob = { ...environment, CAISSON_API_KEY: server.bob.secret };
    await newAgent('common');
    expect((await cli('agents', 'share', 'common', 'bob', '--as', 'editor')).stdout).toBe(
      'bob is an editor of common\n',
    );
    expect((await caisson(['agents', 'list'], asBob)).stdout).toMatch(/common\s+alice\s+use/);
    expect((await caisson(['conversations', 'open', 'common'], asBob)).exitCode).toBe(0);
    expect((await caisson(['agents', 'share', 'common', 'root'], asBob)).stderr).toContain('You may use agent common');
    expect((await cli('agents', 'shares', 'common')).stdout).toMatch(/bob\s+editor/);
    expect((await cli('agents', 'unshare', 'common', 'bob')).stdout).toBe('common is no longer shared with bob\n');
    expect((await cli('agents', 'unshare', 'common', 'bob')).stderr).toContain('not shared with bob');
    expect((await cli('agents', 'shares', 'common')).stderr).toContain('shared with nobody');
    expect((await caisson(['agents', 'show', 'common'], asBob)).exitCode).toBe(1);
  });
});

describe('quotas', () => {
  const asAdmin = (...args: string[]): Promise<Ended> =>
    caisson(args, { ...environment, CAISSON_API_KEY: server.admin.secret });

  test('everyone sees their own, in units for people and as JSON', async () => {
    const set = await asAdmin(
      'quotas',
      'set',
      'alice',
      'cost=12.50',
      'egress_bytes=2g',
      '--time-zone',
      'Europe/Berlin',
    );
    expect(set).toMatchObject({ exitCode: 0, stderr: '' });
    const { stdout } = await cli('quotas', 'show');
    expect(stdout).toMatch(/days of +Europe\/Berlin/);
    expect(stdout).toMatch(/cost +\$0\.00 +\$12\.50 +its own/);
    expect(stdout).toMatch(/egress_bytes +0 B +2\.0 GiB +its own/);
    expect(stdout).toMatch(/tokens +0 +none +the default/);
    const { quotas } = JSON.parse((await cli('quotas', 'show', '--json')).stdout) as { quotas: { limit: number }[] };
    expect(quotas).toContainEqual(expect.objectContaining({ dimension: 'cost', limit: 12_500_000 }));
  });

  test('a plan is made, given, listed, taken back and removed', async () => {
    expect((await asAdmin('quotas', 'set-plan', 'small', 'tokens=5m', 'cpu=1.5')).stdout).toBe('Made plan small\n');
    expect((await asAdmin('quotas', 'set-plan', 'small', 'cpu=default', 'agents=none')).stdout).toBe(
      'Changed plan small\n',
    );
    expect((await asAdmin('quotas', 'plans')).stdout).toContain('agents=none, tokens=5000000');
    expect((await asAdmin('quotas', 'set', 'alice', '--plan', 'small')).stdout).toMatch(
      /tokens +0 +5,000,000 +its plan/,
    );
    expect(await asAdmin('quotas', 'remove-plan', 'small')).toMatchObject({ exitCode: 1 });
    await asAdmin('quotas', 'set', 'alice', '--plan', 'default');
    expect((await asAdmin('quotas', 'remove-plan', 'small')).stdout).toBe('Removed plan small\n');
  });

  test('an agent gets a budget, by its id and by its name', async () => {
    const agentId = await newAgent('thrifty');
    expect((await cli('quotas', 'set', agentId, 'tokens=100')).stdout).toMatch(/tokens +0 +100 +its own/);
    expect((await cli('quotas', 'set', 'thrifty', 'disk=1g')).stdout).toMatch(/disk +.* +1\.0 GiB +its own/);
    expect((await cli('quotas', 'show', 'thrifty')).stdout).toContain(agentId);
    // The limit that an agent was made with holds, whatever is said beyond it.
    const limit = /disk +.* of ([\d.]+ [KMG]iB)/.exec((await cli('agents', 'show', 'thrifty')).stdout)?.[1] ?? '';
    for (const amount of ['100t', 'default']) {
      const { stdout } = await cli('quotas', 'set', 'thrifty', `disk=${amount}`);
      expect(stdout).toMatch(new RegExp(`disk +.* +${limit} +the default`));
    }
    expect((await cli('quotas', 'show', 'nobody')).stderr).toBe(
      'error: There is no user nobody, and no agent of that name.\nhint: List them with `caisson users list` and `caisson agents list`.\n',
    );
  });

  test.each([
    ['fame=1', 'There is no quota "fame", only agents, '],
    ['tokens=many', 'The amount of tokens must be a number of tokens, such as 500 or 2k, or none.'],
    ['tokens', 'Each has an amount, such as tokens=5m.'],
    ['cost=-1', 'The amount of cost must be dollars, such as 12.50, or none.'],
    ['memory=1q', 'The amount of memory must be a number of bytes, such as 500m or 2g, or none.'],
  ])('%s is told to be wrong in a sentence, which quotes it once', async (limit, message) => {
    const { exitCode, stderr } = await asAdmin('quotas', 'set', 'alice', limit);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(`error: '${limit}' is invalid for argument 'limits'. ${message}`);
  });

  test('a limit of the disk that is refused is told in the size that people write', async () => {
    const { exitCode, stderr } = await cli('agents', 'create', 'tiny', '--disk', '5m');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('limits.diskBytes: must be at least 16 MiB (16777216 bytes).');
    expect((await cli('agents', 'create', '--help')).stdout).toContain('such as 2g; at least 16m');
  });
});

describe('doctor', () => {
  interface Found {
    readonly what: string;
    readonly state: string;
    readonly says: string;
  }
  const found = ({ stdout }: Ended, what: string): Found | undefined =>
    (JSON.parse(stdout) as Found[]).find((finding) => finding.what === what);

  test('tells of a control plane that serves: its version, the key, the demo model', async () => {
    const report = await cli('doctor', '--json');
    expect(found(report, 'control plane')).toMatchObject({
      state: 'note',
      says: expect.stringContaining('0.0.0-test at'),
    });
    expect(found(report, 'API key')).toMatchObject({ state: 'ok', says: 'valid: you are alice (member)' });
    expect(found(report, 'model')).toMatchObject({ state: 'note', says: expect.stringContaining('demo model') });
    expect(found(report, 'disk')).toBeDefined();
  });

  test('tells how many sandboxes failed or are not attached', async () => {
    const id = await newAgent('unlucky');
    expect(found(await cli('doctor', '--json'), 'sandboxes')).toMatchObject({
      state: 'ok',
      says: expect.stringContaining('running'),
    });
    await server.sandboxes.observer.sandboxFailed(id, { code: 'SANDBOX_START_FAILED', message: 'no' });
    expect(found(await cli('doctor', '--json'), 'sandboxes')).toMatchObject({
      state: 'note',
      says: expect.stringContaining('1 failed'),
    });
    await cli('agents', 'delete', id, '--yes');
  });

  test('tells administrators what is left on the disks of the control plane, and others whose disk it looked at', async () => {
    const dataDir = { CAISSON_DATA_DIR: tmpdir() };
    const asAdmin = { ...environment, ...dataDir, CAISSON_API_KEY: server.admin.secret };
    expect(found(await caisson(['doctor', '--json'], asAdmin), 'disk')?.says).toMatch(
      /^\d+\.\d GiB free for the control plane's data directory/,
    );
    expect(found(await caisson(['doctor', '--json'], { ...environment, ...dataDir }), 'disk')?.says).toContain(
      `for ${tmpdir()}, of this shell's CAISSON_DATA_DIR; the control plane's may be another`,
    );
  });

  test('a control plane that answers and can store nothing is missing, with a key and without', async () => {
    await using full = await startServer({ checkHealth: () => Promise.reject(new Error('full')) });
    for (const CAISSON_API_KEY of [full.alice.secret, 'ck_wrong']) {
      const report = await caisson(['doctor', '--json'], { CAISSON_URL: full.url, CAISSON_API_KEY });
      expect(report.exitCode).toBe(1);
      expect(found(report, 'control plane')).toMatchObject({
        state: 'missing',
        says: expect.stringContaining('does not serve: its health check fails (503)'),
      });
    }
  });

  test('a key that does not work is missing, and so the exit code is 1', async () => {
    const report = await caisson(['doctor', '--json'], { ...environment, CAISSON_API_KEY: 'ck_wrong' });
    expect(report.exitCode).toBe(1);
    expect(found(report, 'control plane')).toMatchObject({ state: 'ok' });
    expect(found(report, 'API key')).toMatchObject({ state: 'missing' });
  });

  test('a control plane that was there and does not answer: its key is there', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'caisson-cli-'));
    const away = { CAISSON_PORT: new URL(await closedAddress()).port, CAISSON_DATA_DIR: directory };
    const before = await caisson(['doctor', '--json'], away);
    const file = join(directory, 'admin.key');
    await writeFile(file, 'ck_x\n');
    const after = await caisson(['doctor', '--json'], away);
    await rm(directory, { recursive: true });
    const says = `does not answer at http://127.0.0.1:${away.CAISSON_PORT}`;
    for (const report of [before, after]) expect(found(report, 'control plane')).toMatchObject({ state: 'note', says });
    expect(found(before, 'API key')).toEqual({
      what: 'API key',
      state: 'note',
      says: `${file} cannot be read; the first start makes it`,
    });
    expect(found(after, 'API key')).toMatchObject({
      state: 'note',
      says: `one is there, in ${file}; it was not tried`,
    });
  });

  test('a control plane that CAISSON_URL names must be there', async () => {
    const report = await caisson(['doctor', '--json'], { CAISSON_URL: await closedAddress(), CAISSON_API_KEY: 'ck_x' });
    expect(report.exitCode).toBe(1);
    expect(found(report, 'control plane')).toMatchObject({ state: 'missing' });
  });

  test('an engine that does not answer is missing, with the way to get one', async () => {
    const report = await caisson(['doctor'], { ...environment, DOCKER_HOST: 'unix:///nonexistent.sock' });
    expect(report.exitCode).toBe(1);
    expect(report.stdout).toMatch(/✗ Docker +no engine answers: .*\n +Install it with `npm run setup`/);
  });

  test('without CAISSON_SANDBOX_IMAGE it looks for the image that a start takes', async () => {
    let filters: string | null = null;
    const engine = createServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '', 'http://engine');
      filters = searchParams.get('filters') ?? filters;
      response.setHeader('content-type', 'application/json');
      response.end(pathname.endsWith('/version') ? '{"Version":"20.10"}' : '[]');
    }).listen(0, '127.0.0.1');
    await once(engine, 'listening');
    const { port } = engine.address() as AddressInfo;
    const report = await caisson(['doctor', '--json'], { ...environment, DOCKER_HOST: `tcp://127.0.0.1:${port}` });
    engine.close();
    expect(found(report, 'sandbox image')?.says).toBe('the engine has no caisson/sandbox:latest');
    expect(filters).toBe('{"reference":["caisson/sandbox:latest"]}');
  });

  test('a wrong setting is named', async () => {
    const report = await caisson(['doctor', '--json'], { ...environment, CAISSON_PORT: 'many' });
    expect(report.exitCode).toBe(1);
    expect(found(report, 'configuration')?.says).toContain('CAISSON_PORT="many"');
  });
});

describe('chat', () => {
  test('a script can talk: a line a message, a number for a question, the end of the input to leave', async () => {
    const agentId = await newAgent('chatter');
    const chat = new CliProcess(['chat', 'chatter'], environment);
    chat.child.stdin.end('first \\\nline two\nsecond\n1\n');
    const first = await playNextTurn(server, agentId, async (turn) => {
      await turn.speak('One.');
      await turn.end();
    });
    expect(first.text).toBe('first \nline two');
    await playNextTurn(server, agentId, async (turn) => {
      await turn.speak(`Answered ${(await turn.ask('git push')) ?? 'no'}.`);
      await turn.end();
    });
    const { exitCode, stdout, stderr } = await chat.ended();
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout).toContain('\nOne.\n');
    expect(stdout).toContain('The agent asks for permission');
    expect(stdout).toContain('\nAnswered yes.\n');
    expect(stdout).not.toContain('\u001B');
  });

  test('Ctrl-C cancels the turn, and once more leaves without waiting', async () => {
    const agentId = await newAgent('impatient');
    const chat = new CliProcess(['chat', 'impatient'], environment);
    chat.child.stdin.write('a long one\n');
    await playNextTurn(server, agentId, async (turn) => {
      await turn.runCommand('sleep', 'started\n');
      await until('the turn', () => chat.stdout.includes('started'));
      chat.child.kill('SIGINT');
      await turn.canceled();
      chat.child.kill('SIGINT');
      expect((await chat.ended()).exitCode).toBe(130);
      await turn.end({ state: 'canceled', reason: 'canceled_by_user', message: '' });
    });
  });

  test('takes up a turn that is under way, and shows what was said last', async () => {
    const agentId = await newAgent('resumed');
    await cli('runs', 'start', 'resumed', 'a long one');
    let chat: CliProcess | undefined;
    await playNextTurn(server, agentId, async (turn) => {
      chat = new CliProcess(['chat', 'resumed'], environment);
      const { child } = chat;
      child.stdin.end();
      await until('the chat', () => chat?.stdout.includes('a turn is under way'));
      await turn.speak('Still here.');
      await turn.end();
    });
    const stdout = (await chat?.ended())?.stdout ?? '';
    expect(stdout).toContain('> a long one');
    expect(stdout).toContain('Still here.');
  });

  test('a turn that failed looks failed where it is recalled, in chat and in history', async () => {
    const agentId = await newAgent('recalled');
    await cli('runs', 'start', 'recalled', 'try it');
    await playNextTurn(server, agentId, async (turn) => {
      await turn.speak('I try.');
      await turn.end({ state: 'failed', reason: 'model_error', message: 'The service is down.' });
    });
    const end = '\nI try.\n\nfailed (model_error): The service is down.\n';
    expect((await cli('chat', 'recalled')).stdout).toContain(`> try it\n${end}`);
    await cli('runs', 'start', 'recalled', 'again');
    await playNextTurn(server, agentId, async (turn) => {
      await turn.speak('Done.');
      await turn.end();
    });
    const { stdout } = await cli('history', 'recalled');
    expect(stdout).toContain(end);
    expect(stdout.match(/failed/g)).toHaveLength(1);
    expect(stdout).toMatch(/Done\.\n$/);
  });

  test('of a turn that is longer than what is looked at, shows how it ended, and where the rest is', async () => {
    const agentId = await newAgent('talkative');
    await cli('runs', 'start', 'talkative', 'a long one');
    await playNextTurn(server, agentId, async (turn) => {
      for (let each = 1; each <= 20; each++) await turn.speak(`Step ${each}.`);
      await turn.end();
    });
    const { stdout } = await cli('chat', 'talkative');
    expect(stdout).toMatch(/\nnow\n\nStep 20\.\n\n\(caisson history talkative shows all of it\)\n/);
    expect(stdout).not.toContain('Step 19.');
  });
});

describe('admin', () => {
  const admin = (...args: string[]): Promise<Ended> =>
    caisson(['admin', ...args], { ...environment, CAISSON_API_KEY: server.admin.secret });

  test('overview and usage are tables for people, and JSON for programs', async () => {
    const { exitCode, stdout } = await admin('overview');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^version +0\.0\.0-test on Node 24\./);
    expect(stdout).toMatch(/disk of the data +\S+ \w+ free of /);
    expect(JSON.parse((await admin('overview', '--json')).stdout)).toMatchObject({ provider: { available: true } });
    expect((await admin('usage')).stdout).toMatch(/user +agents +running +disk/);
    expect(JSON.parse((await admin('usage', '--json')).stdout)).toEqual(
      expect.arrayContaining([expect.objectContaining({ user: expect.objectContaining({ name: 'alice' }) })]),
    );
  });

  test('where there is no sandbox that is said, and nothing is stopped', async () => {
    expect(await admin('sandboxes', '--json')).toEqual({ exitCode: 0, stdout: '[]\n', stderr: '' });
    expect((await admin('sandboxes')).stderr).toBe('There are no sandboxes.\n');
    const nobody = 'agt-01m7ywv67afkzf0wc0b9dh1awz';
    expect((await admin('stop', nobody)).stdout).toBe(`There is no sandbox of ${nobody}\n`);
    expect((await admin('destroy', 'unknown', '--yes')).stderr).toContain('You have no agent called unknown');
  });

  test('members are refused', async () => {
    expect((await cli('admin', 'sandboxes')).stderr).toMatch(/error: .+/);
    expect((await cli('admin', 'overview')).exitCode).not.toBe(0);
  });
});

describe('the disk of an agent', () => {
  test('is given at its creation, and shown', async () => {
    await cli('agents', 'create', 'small', '--disk', '512m');
    expect((await cli('agents', 'show', 'small')).stdout).toContain('not measured yet, of 512 MiB');
    expect((await cli('agents', 'create', 'odd', '--disk', 'much')).stderr).toContain('a size such as 500m or 2g');
    expect((await cli('agents', 'create', 'large', '--disk', '2g')).stderr).toContain('limits.diskBytes');
  });
});

describe('usage', () => {
  test('shows what was taken, by what is asked, and what its figures are not sure of', async () => {
    const agentId = await newAgent('metered');
    const call = {
      at: Date.now(),
      userId: server.alice.principal.userId,
      agentId,
      conversationId: null,
      runId: null,
      upstream: 'main',
      api: 'responses' as const,
      outcome: 'answered' as const,
      inputTokens: 12_345,
      cachedInputTokens: 45,
      cacheWriteTokens: 0,
      outputTokens: 678,
      reasoningTokens: 90,
      ms: 5,
    };
    const known = { ...call, model: 'gpt-5.5', costMicros: 1_230_000, isEstimated: false, priceVersion: '2026-11-21' };
    const own = { ...call, model: 'my-own', costMicros: 10_000, isEstimated: true, priceVersion: 'default' };
    await server.storage.modelUsage.add([known, known, own]);
    const { stdout } = await cli('usage', '--agent', 'metered', '--by', 'model');
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^model +calls +input +cached +output +reasoning +cost +note$/);
    expect(lines[1]).toMatch(/^gpt-5\.5 +2 +24,690 +90 +1,356 +180 +\$2\.46$/);
    expect(lines[2]).toMatch(/^my-own +1 +12,345 .* \$0\.01 +1 estimated, 1 at the default price$/);
    const json = await cli('usage', '--agent', 'metered', '--json', '--by', 'day,agent');
    expect(JSON.parse(json.stdout)).toMatchObject([{ agentId, model: null, calls: 3, costMicros: 2_470_000 }]);
    expect((await cli('usage', '--agent', 'metered', '--by', 'agent')).stdout).toMatch(/\nmetered +3 /);
    const all = await caisson(['usage', '--by', 'user'], { ...environment, CAISSON_API_KEY: server.admin.secret });
    expect(all.stdout).toMatch(/\nalice +3 /);
    expect((await cli('usage', '--by', 'colour')).stderr).toContain('some of day, user, agent, model');
  });
});
