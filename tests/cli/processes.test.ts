import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type RunningWorkspace, startWorkspace } from '../controlplane/workspace/running-workspace.ts';
import { isAlive } from '../guest/processes/outputs.ts';
import { until } from '../until.ts';
import { closedAddress } from './closed-address.ts';
import { caisson, CliProcess } from './command.ts';
import { Person } from './person.ts';

let workspace: RunningWorkspace;
let environment: Record<string, string>;
const cli = (args: string[], input?: string) => caisson(args, environment, input);
const exec = (...command: string[]) => cli(['exec', 'worker', '--', ...command]);

beforeAll(async () => {
  workspace = await startWorkspace();
  environment = { CAISSON_URL: workspace.url, CAISSON_API_KEY: workspace.apiKey };
});
afterAll(() => workspace[Symbol.asyncDispose]());
afterEach(() => Person.allLeave());

describe('exec', () => {
  test('passes outputs and the exit code on', async () => {
    const ended = await exec('sh', '-c', 'echo out; echo err >&2; exit 7');
    expect(ended).toEqual({ exitCode: 7, stdout: 'out\n', stderr: 'err\n' });
  });

  test('a control plane that does not answer is told, with an exit code that no command has', async () => {
    const away = await caisson(['exec', 'worker', '--', 'true'], {
      ...environment,
      CAISSON_URL: await closedAddress(),
    });
    expect(away).toMatchObject({ exitCode: 125, stderr: expect.stringContaining('No control plane answers') });
  });

  test.for([
    ['a signal', ['exec', 'worker', '--', 'sh', '-c', 'kill -TERM $$'], 143],
    ['a time-out', ['exec', 'worker', '--timeout', '300ms', '--', 'sleep', '60'], 124],
    ['no such program', ['exec', 'worker', '--', 'no-such-program'], 127],
    ['no program', ['exec', 'worker', '--', '/etc/passwd'], 126],
    ['no such agent', ['exec', 'nobody', '--', 'true'], 125],
    ['a folder outside of the workspace', ['exec', 'worker', '--cwd', '/etc', '--', 'true'], 125],
    ['an option that is none', ['exec', 'worker', 'ls', '-la'], 125],
    ['a variable without a value', ['exec', 'worker', '--env', 'CI', '--', 'true'], 125],
  ] as const)('%s has its exit code', async ([, args, exitCode]) => {
    expect((await cli([...args])).exitCode).toBe(exitCode);
  });

  test('its input is piped, and its options are taken', async () => {
    const script = 'cat; pwd; echo $A-$B';
    const args = [
      'exec',
      'worker',
      '--cwd',
      workspace.roots[1],
      '-e',
      'A=1',
      '--env',
      'B=x=y',
      '--',
      'sh',
      '-c',
      script,
    ];
    expect((await cli(args, 'input\n')).stdout).toBe(`input\n${workspace.roots[1]}\n1-x=y\n`);
  });

  test('a command that does not read its input ends, and one without input finds the end of it', async () => {
    const command = new CliProcess(['exec', 'worker', '--', 'true'], environment);
    expect((await command.ended()).exitCode).toBe(0); // though nobody has closed the input here
    const none = new CliProcess(['exec', 'worker', '--no-stdin', '--', 'cat'], environment);
    expect((await none.ended()).exitCode).toBe(0);
  });

  test('60 MB arrive byte for byte at a reader that takes its time', async () => {
    const command = new CliProcess(['exec', 'worker', '--', 'sh', '-c', 'yes caisson | head -c 60000000'], environment);
    const hash = createHash('sha256');
    command.child.stdout.removeAllListeners('data');
    for await (const chunk of command.child.stdout) hash.update(chunk as string);
    expect(hash.digest('hex')).toBe(createHash('sha256').update(Buffer.alloc(60_000_000, 'caisson\n')).digest('hex'));
    expect((await command.ended()).exitCode).toBe(0);
  });

  test('the first interrupt is the command’s own, the second kills it', async () => {
    const script = 'trap "echo caught >&2" INT; echo ready >&2; while :; do sleep 0.1; done';
    const command = new CliProcess(['exec', 'worker', '--', 'sh', '-c', script], environment);
    await command.says('ready');
    command.child.kill('SIGINT');
    await command.says('caught');
    command.child.kill('SIGINT');
    expect((await command.ended()).exitCode).toBe(137);
  });

  test('Ctrl-C at a terminal is the command’s own, a second one kills it', async () => {
    const script = 'trap "echo caught" INT; echo ready; while :; do sleep 0.1; done';
    const person = new Person(['exec', 'worker', '--', 'sh', '-c', script], environment);
    await person.sees('ready');
    person.type('\u0003');
    await person.sees('caught');
    person.type('\u0003');
    expect(await person.ended()).toBe(137);
  });

  test('a command that Ctrl-C ends gives the terminal back, with its exit code', async () => {
    const person = new Person(['exec', 'worker', '--', 'sh', '-c', 'echo ready; exec sleep 60'], environment);
    await person.sees('ready');
    person.type('\u0003');
    expect(await person.ended()).toBe(130);
  });

  test('the command dies with this one', async () => {
    const command = new CliProcess(['exec', 'worker', '--', 'sh', '-c', 'echo $$; exec sleep 60'], environment);
    const pid = await until('it runs', () => Number(command.stdout) || undefined);
    command.child.kill('SIGKILL');
    await once(command.child, 'close');
    await until('it is dead', () => !isAlive(pid));
  });
});

describe('background', () => {
  const start = async (...command: string[]): Promise<string> =>
    (await cli(['exec', 'worker', '--detach', '--', ...command])).stdout.trim();

  test('a detached command prints its id, and its output is there for `logs`', async () => {
    const id = await start('sh', '-c', 'echo out; echo err >&2');
    expect(id).toMatch(/^prc-/);
    const ended = await cli(['logs', 'worker', id, '--follow']);
    expect(ended).toEqual({ exitCode: 0, stdout: 'out\n', stderr: 'err\n' });
    const rest = await cli(['logs', 'worker', id, '--after', '4', '--json']);
    const lines = rest.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toMatchObject([
      { type: 'output', stream: 'stderr', offset: 4, data: Buffer.from('err\n').toString('base64') },
      { type: 'end', offset: 8 },
    ]);
  });

  test('what is gone of a long log is said', async () => {
    const id = await start('head', '-c', '2000000', '/dev/zero');
    const { stdout, stderr } = await cli(['logs', 'worker', id, '--follow']);
    expect(stdout).toHaveLength(1024 * 1024);
    expect(stderr).toBe(`note: ${2_000_000 - 1024 * 1024} bytes of the output are gone here.\n`);
  });

  test('`ps` shows the tree and whom it belongs to, and `kill` ends it with its children', async () => {
    await writeFile(join(workspace.roots[0], 'serve.sh'), 'sleep 61 & sleep 62; true');
    const id = await start('sh', 'serve.sh');
    const rows = await until('the children run', async () => {
      const { stdout } = await cli(['ps', 'worker']);
      const rows = stdout.split('\n').filter((line) => line.includes(id));
      return rows.length === 3 ? rows : undefined;
    });
    expect(rows[0]).toContain('sh serve.sh');
    expect(rows.join('\n')).toMatch(/├ sleep 61[^]*└ sleep 62/);
    const json = JSON.parse((await cli(['ps', 'worker', '--json'])).stdout) as { processes: { id: string }[] };
    expect(json.processes.map((process) => process.id)).toContain(id);
    expect(await cli(['kill', 'worker', id])).toEqual({ exitCode: 0, stdout: '', stderr: 'Ended 3 processes.\n' });
    expect((await cli(['kill', 'worker', id])).stderr).toBe('It had ended already.\n');
    expect((await cli(['ps', 'worker'])).stdout).toMatch(new RegExp(`${id} .*SIGTERM`));
  });

  test('a signal alone is sent by name, to a pid too', async () => {
    const id = await start('sleep', '63');
    const { processes } = await workspace.client.processes.list.query({ agentId: workspace.agent.id });
    const pid = processes.find((process) => process.id === id)?.pid ?? 0;
    expect((await cli(['kill', 'worker', String(pid), '--only', '-s', 'usr1'])).exitCode).toBe(0);
    await until(
      'it has ended',
      async () =>
        (await workspace.client.processes.get.query({ agentId: workspace.agent.id, processId: id })).signal ===
        'SIGUSR1',
    );
    expect((await cli(['kill', 'worker', id, '-s', 'nonsense'])).exitCode).toBe(2);
    const unknown = await cli(['kill', 'worker', 'prc-01j00000000000000000000000']);
    expect(unknown).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('hint: List them with `caisson ps') });
  });
});
