import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { createCaissonClient } from '../../src/client/index.ts';
import { agentIdSchema } from '../../src/kernel/ids.ts';
import { until } from '../until.ts';
import { Visitor } from '../controlplane/previews/visitor.ts';
import { type RunningWorkspace, startWorkspace } from '../controlplane/workspace/running-workspace.ts';
import { caisson, CliProcess, type Ended } from './command.ts';

let workspace: RunningWorkspace;
let environment: Record<string, string>;
let app: Server;
let port: number;
const sockets = new Set<Socket>();
const cli = (...args: string[]): Promise<Ended> => caisson(args, environment);

beforeAll(async () => {
  workspace = await startWorkspace();
  environment = { CAISSON_URL: workspace.url, CAISSON_API_KEY: workspace.apiKey };
  // Answers what it heard, once that has ended; `big` with 32 MiB, `break` with a reset.
  app = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
    text(socket).then(
      (heard) => {
        if (heard === 'break') socket.resetAndDestroy();
        else socket.end(heard === 'big' ? Buffer.alloc(32 * 1024 * 1024, 5) : `heard ${heard}`);
      },
      () => undefined, // it was cut
    );
  });
  app.listen(0, '127.0.0.1');
  await once(app, 'listening');
  port = (app.address() as { port: number }).port;
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  app.close();
  await workspace[Symbol.asyncDispose]();
});

describe('ports', () => {
  test('lists what listens, for people and as JSON', async () => {
    const { exitCode, stdout } = await cli('ports', 'worker');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(new RegExp(`^ *${port}  127\\.0\\.0\\.1 .* ${process.pid} `, 'm'));
    const { stdout: json } = await cli('ports', 'worker', '--json');
    expect(JSON.parse(json)).toContainEqual(expect.objectContaining({ port, pid: process.pid }));
  });

  test('follows those that open and close, each once', async () => {
    const command = new CliProcess(['ports', 'worker', '--follow', '--json'], environment);
    await until('the list', () => command.stdout.includes(`"port":${port}`));
    const harness = workspace.provider.running.get(agentIdSchema.parse(workspace.agent.id))?.harness;
    harness?.sink.append({ type: 'port.opened', port: 4, pid: 12, command: 'a' });
    harness?.sink.append({ type: 'port.opened', port: 4, pid: 12, command: 'a' });
    harness?.sink.append({ type: 'port.closed', port: 4, pid: 12, command: 'a' });
    await until('the end', () => command.stdout.includes('port.closed'));
    command.child.kill();
    const lines = command.stdout.trim().split('\n');
    expect(lines.filter((line) => line.includes('"port":4,')).map((line) => JSON.parse(line) as unknown)).toEqual([
      { type: 'port.opened', port: 4, pid: 12, command: 'a' },
      { type: 'port.closed', port: 4, pid: 12, command: 'a' },
    ]);
  });
});

describe('preview', () => {
  test('prints a link that works once, lists it and revokes it', async () => {
    const made = await cli('preview', 'worker', '8080', '--expires', '5m');
    expect(made.exitCode).toBe(0);
    expect(made.stdout).toMatch(/^http:\/\/8080-agt-\w+\.preview\.localhost:\d+\/\?caisson-preview=cpv_\S{43}\n$/);
    expect(made.stderr).toContain('Works once, for whoever opens it first; ends in ');
    expect((await new Visitor(workspace.url).visit(made.stdout.trim())).status).toBe(303);
    const listed = await cli('preview', 'worker', '--list', '--json');
    const [{ id, state }] = JSON.parse(listed.stdout) as [{ id: string; state: string }];
    expect(state).toBe('active');
    expect((await cli('preview', 'worker', '--list')).stdout).toContain(id);
    expect((await cli('preview', 'worker', '8080', '--list')).stdout).toContain(id);
    expect((await cli('preview', 'worker', '8081', '--list')).stdout).not.toContain(id);
    expect((await cli('preview', 'worker', '--revoke', id)).stdout).toBe(`Revoked ${id} of port 8080\n`);
    expect((await new Visitor(workspace.url).visit(made.stdout.trim())).status).toBe(410);
  });

  test('opens the link in the browser, once the link is printed; without a browser it says so', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'caisson-browser-'));
    const opened = join(directory, 'opened');
    for (const name of ['open', 'xdg-open']) {
      await writeFile(
        join(directory, name),
        `#!/bin/sh\necho "$#$@" >"${opened}.new"; mv "${opened}.new" "${opened}"\n`,
        {
          mode: 0o755,
        },
      );
    }
    const PATH = `${directory}:${process.env['PATH']}`;
    const made = await caisson(['preview', 'worker', '8081', '--shared', '--open'], { ...environment, PATH });
    expect(made.exitCode).toBe(0);
    const url = await until('the browser', () => readFile(opened, 'utf8').catch(() => undefined));
    expect(url).toBe(`1${made.stdout}`);
    const without = await caisson(['preview', 'worker', '8081', '--open'], { ...environment, PATH: '/nonexistent' });
    expect(without.exitCode).toBe(0);
    expect(without.stdout).toMatch(/^http:\S+\n$/);
    expect(without.stderr).toContain('Open the address yourself.');
    await rm(directory, { recursive: true });
  });

  test('says what is missing or wrong', async () => {
    expect(await cli('preview', 'worker')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('caisson ports worker') as string,
    });
    expect(await cli('preview', 'worker', '70000')).toMatchObject({ exitCode: 2 });
    expect(await cli('preview', 'worker', '80', '--expires', '8d')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('A preview can be made for 7d at most.') as string,
    });
    expect(await cli('preview', 'worker', '80', '--expires', '1d')).toMatchObject({ exitCode: 0 });
  });
});

describe('preview --open', () => {
  const opened = async (script: string): Promise<Ended> => {
    await using held = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), 'caisson-opener-'));
    held.defer(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 'xdg-open'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return await caisson(['preview', 'worker', '8080', '--open'], { ...environment, PATH: folder });
  };

  test('an opener that finds no browser is told, and the link is there', async () => {
    const { exitCode, stdout, stderr } = await opened('exit 3');
    expect([exitCode, stdout]).toEqual([0, expect.stringContaining('http://8080-')]);
    expect(stderr).toContain('No browser could be started (`xdg-open` ended with 3). Open the address yourself.\n');
  });

  test('one that opened it is not spoken of', async () => {
    expect((await opened('exit 0')).stderr).not.toContain('No browser');
  });

  test('one that is not there is told', async () => {
    const { exitCode, stderr } = await caisson(['preview', 'worker', '8080', '--open'], {
      ...environment,
      PATH: '/nonexistent',
    });
    expect([exitCode, stderr]).toEqual([0, expect.stringContaining('(`xdg-open` is not there)')]);
  });
});

describe('forward', () => {
  test('a local port that is taken is told in words', async () => {
    expect(await cli('forward', 'worker', `${port}:80`)).toEqual({
      exitCode: 1,
      stdout: '',
      stderr:
        `error: 127.0.0.1:${port} cannot be listened on: address already in use.\n` +
        'hint: Choose another local port; 0 takes a free one.\n',
    });
  });

  async function start(remote: number, env = environment): Promise<{ command: CliProcess; local: number }> {
    const command = new CliProcess(['forward', 'worker', `0:${remote}`], env);
    const local = await until('the address', () => /^127\.0\.0\.1:(\d+) /.exec(command.stdout)?.[1]);
    return { command, local: Number(local) };
  }

  test('joins many connections at once, each half by itself, and ends cleanly', async () => {
    const { command, local } = await start(port);
    const ask = async (n: number): Promise<string> => {
      const socket = connect({ port: local, host: '127.0.0.1', allowHalfOpen: true });
      socket.end(`question ${n}`);
      return await text(socket);
    };
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => ask(n)));
    expect(answers).toEqual(Array.from({ length: 20 }, (_, n) => `heard question ${n}`));
    const big = connect({ port: local, host: '127.0.0.1', allowHalfOpen: true });
    big.end('big');
    let bytes = 0;
    for await (const chunk of big) bytes += (chunk as Buffer).length;
    expect(bytes).toBe(32 * 1024 * 1024);
    command.child.kill('SIGINT');
    expect(await command.ended()).toMatchObject({ exitCode: 0 });
    await until('all connections are gone', () => sockets.size === 0);
  });

  test('a connection that breaks at one end breaks at the other', async () => {
    const { command, local } = await start(port);
    const broken = connect({ port: local, host: '127.0.0.1', allowHalfOpen: true });
    broken.end('break');
    await expect(text(broken)).rejects.toMatchObject({ code: 'ECONNRESET' });
    const left = connect({ port: local, host: '127.0.0.1' });
    left.write('x');
    await until('it is there', () => sockets.size === 1);
    left.resetAndDestroy();
    await until('it is gone', () => sockets.size === 0);
    command.child.kill('SIGINT');
    await command.ended();
  });

  test('a port that nobody listens on refuses each connection with a reason', async () => {
    const nobody = createServer();
    nobody.listen(0, '127.0.0.1');
    await once(nobody, 'listening');
    const free = (nobody.address() as { port: number }).port;
    nobody.close();
    const { command, local } = await start(free);
    const socket = connect({ port: local, host: '127.0.0.1' });
    await expect(text(socket)).rejects.toMatchObject({ code: 'ECONNRESET' });
    await command.says(`connection failed: Nothing listens on port ${free}`);
    command.child.kill('SIGTERM');
    expect(await command.ended()).toMatchObject({ exitCode: 0 });
  });

  test('ends with its key: what is open is cut at both ends, and nothing is opened any more', async () => {
    const admin = createCaissonClient({ url: workspace.url, apiKey: workspace.adminKey });
    const { key, secret } = await admin.keys.create.mutate({ user: 'alice', role: 'member', name: 'laptop' });
    const { command, local } = await start(port, { ...environment, CAISSON_API_KEY: secret });
    const open = connect({ port: local, host: '127.0.0.1' });
    const cut = expect(text(open)).rejects.toMatchObject({ code: 'ECONNRESET' });
    open.write('x');
    await until('it is there', () => sockets.size === 1);
    await admin.keys.revoke.mutate({ keyId: key.id });
    await cut;
    await until('it is gone', () => sockets.size === 0);
    await expect(text(connect({ port: local, host: '127.0.0.1' }))).rejects.toMatchObject({ code: 'ECONNRESET' });
    await command.says(`connection failed: API key ${key.id} was revoked`);
    command.child.kill('SIGTERM');
    await command.ended();
  });

  test('the route is refused to strangers and to keys that do not work', async () => {
    const url = `${workspace.url.replace('http', 'ws')}/v1/agents/${workspace.agent.id}/ports/${port}/connect`;
    const open = (key: string): WebSocket =>
      new WebSocket(url, 'caisson.v1', { headers: { authorization: `Bearer ${key}` } });
    const refusal = async (socket: WebSocket): Promise<string> => {
      const [, answer] = (await once(socket, 'unexpected-response')) as [unknown, NodeJS.ReadableStream];
      return await text(answer);
    };
    expect(await refusal(open(workspace.strangerKey))).toContain('AGENT_NOT_FOUND');
    expect(await refusal(open(`ck_${'x'.repeat(43)}`))).toContain('UNAUTHORIZED');
    const admin = new WebSocket(url.replace(String(port), '0'), 'caisson.v1', {
      headers: { authorization: `Bearer ${workspace.apiKey}` },
    });
    expect(await refusal(admin)).toContain('BAD_REQUEST');
  });
});
