import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { forwardConnection } from '../../../src/cli/forward-connection.ts';
import { type CaissonClient, createCaissonClient, type TerminalEvent } from '../../../src/client/index.ts';
import { until } from '../../until.ts';
import { type FreezableWorkspace, startFreezableWorkspace } from './freezable-workspace.ts';

/** Real sockets and a real control plane; only the clock of the client is the test's. */
let workspace: FreezableWorkspace;
let client: CaissonClient;
let agentId: string;
beforeAll(async () => {
  workspace = await startFreezableWorkspace();
  client = createCaissonClient(workspace);
  ({ agentId } = workspace);
});
afterAll(() => workspace[Symbol.asyncDispose]());
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => {
  vi.useRealTimers();
  workspace.thaw();
});

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
const silentFor = (seconds: number): unknown =>
  expect.objectContaining({
    code: 'CONTROL_PLANE_UNREACHABLE',
    message: expect.stringContaining(`nothing came for ${seconds} s`) as string,
  });
const unreachable = silentFor(45);
const neverOpened = silentFor(165);

/** Lets time pass until `look` finds it: what was under way when the control plane was stopped may still be heard. */
const passUntil = <T>(what: string, look: () => T | undefined | false): Promise<T> =>
  until(what, async () => look() || (await pass(5_000).then(look)));

/** How a promise was rejected, once it is. */
function rejection(promise: Promise<unknown>): { error?: unknown } {
  const seen: { error?: unknown } = {};
  promise.catch((error: unknown) => (seen.error = error));
  return seen;
}

describe('a control plane that stands still', () => {
  test('a query that does not wait by design ends after 60 s, a mutation too and says that it may have been done', async () => {
    workspace.freeze();
    const list = rejection(client.agents.list.query());
    const open = rejection(client.conversations.open.mutate({ agentId }));
    const wait = rejection(client.runs.wait.query({ runId: 'run-1', timeoutMs: 90_000 }));
    await pass(59_999);
    expect([list, open]).toEqual([{}, {}]);
    await pass(1);
    await until('both have ended', () => list.error !== undefined && open.error !== undefined);
    expect(list.error).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: `The control plane at ${workspace.url} did not answer agents.list within 60 s.`,
      hint: expect.stringContaining('can be repeated') as string,
    });
    expect(open.error).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      hint: expect.stringContaining('not known: look before you repeat it') as string,
    });
    expect(wait).toEqual({});
    await pass(90_000);
    await until('the wait has ended', () => wait.error !== undefined);
  });

  test('a caller who leaves before has his own error', async () => {
    workspace.freeze();
    const leave = new AbortController();
    const list = rejection(client.agents.list.query({}, { signal: leave.signal }));
    leave.abort();
    await until('it has ended', () => list.error !== undefined);
    expect(list.error).toMatchObject({ code: 'ABORTED' });
  });

  test('a terminal is told after 45 s, and goes on by itself when the control plane does', async () => {
    const { id: terminalId } = await client.terminals.open.mutate({ agentId, command: ['cat'] });
    const events: TerminalEvent[] = [];
    const attachment = await client.terminals.attach({
      agentId,
      terminalId,
      onEvent: (event) => void events.push(event),
    });
    let screen = '';
    void (async () => {
      for await (const bytes of attachment.output) screen += Buffer.from(bytes).toString();
    })();
    await attachment.write('before\r');
    await until('it is echoed', () => screen.includes('before\r\nbefore'));
    workspace.freeze();
    const told = await passUntil('it is told', () => events.find(({ type }) => type === 'disconnected'));
    expect(told).toEqual({ type: 'disconnected', error: unreachable });
    workspace.thaw();
    await until('it is attached again', async () => {
      await pass(20);
      return events.filter(({ type }) => type === 'attached').length > 1;
    });
    await attachment.write('after\r');
    await until('it is echoed', () => screen.endsWith('after\r\nafter\r\n'));
    expect(screen).toBe('before\r\nbefore\r\nafter\r\nafter\r\n');
    await attachment.detach();
  });

  test('a terminal that is left is left at once', async () => {
    const { id: terminalId } = await client.terminals.open.mutate({ agentId, command: ['cat'] });
    const attachment = await client.terminals.attach({ agentId, terminalId });
    workspace.freeze();
    await attachment.detach();
    expect(await attachment.closed).toBeNull();
  });

  test('no terminal is attached to: the time for a sandbox to be looked for passes, then it says why', async () => {
    const { id: terminalId } = await client.terminals.open.mutate({ agentId, command: ['cat'] });
    workspace.freeze();
    const attached = rejection(client.terminals.attach({ agentId, terminalId }));
    await pass(165_000);
    expect(attached.error).toEqual(neverOpened);
  });

  test('a process with its streams fails after 45 s', async () => {
    const child = await client.processes.spawn({ agentId, command: ['cat'] });
    const [exit, output] = [rejection(child.exit), rejection(child.stdout.getReader().read())];
    workspace.freeze();
    await passUntil('its end is told', () => exit.error !== undefined && output.error !== undefined);
    expect([exit.error, output.error]).toEqual([unreachable, unreachable]);
    await expect(child.stdin.getWriter().write(Buffer.from('x'))).rejects.toEqual(unreachable);
  });

  test('a process is not started: the time for a sandbox to start passes, then it fails', async () => {
    workspace.freeze();
    const started = rejection(client.processes.spawn({ agentId, command: ['cat'] }));
    await pass(165_000);
    expect(started.error).toEqual(neverOpened);
  });

  test('a forwarded connection is reset: after 45 s an open one, after 165 s one that was not yet', async () => {
    const app = createServer((socket) => void socket.on('error', () => undefined).write('hello'));
    const near = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    for (const server of [app, near]) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
    }
    const portOf = (server: typeof app): number => (server.address() as { port: number }).port;
    const forward = async () => {
      const accepted = once(near, 'connection') as Promise<[ReturnType<typeof connect>]>;
      const local = connect({ port: portOf(near), host: '127.0.0.1' });
      local.on('error', () => undefined);
      const joined = rejection(forwardConnection((await accepted)[0], { ...workspace, port: portOf(app) }));
      return { local, joined };
    };
    const open = await forward();
    await Promise.race([
      once(open.local, 'data'),
      once(open.local, 'close').then(() => Promise.reject(open.joined.error)),
    ]);
    workspace.freeze();
    const early = await forward();
    await passUntil('both have failed', () => open.joined.error !== undefined && early.joined.error !== undefined);
    expect([open.joined.error, early.joined.error]).toEqual([unreachable, neverOpened]);
    await until('both are reset', () => open.local.closed && early.local.closed);
    for (const server of [app, near]) server.close();
  });

  test('a download and an upload end after 120 s, and a caller who is slow is no silence', async () => {
    const piece = new Uint8Array(1024 * 1024);
    await client.files.upload({ agentId, path: 'large', body: new Blob(Array.from({ length: 32 }, () => piece)) });
    const { stream } = await client.files.download({ agentId, path: 'large' });
    const reader = stream.getReader();
    await reader.read();
    const slow = Promise.withResolvers<void>();
    let isAsked = false;
    const waiting = rejection(
      client.files.upload({
        agentId,
        path: 'slow',
        body: new ReadableStream({
          async pull(controller) {
            isAsked = true;
            await slow.promise;
            controller.enqueue(piece);
          },
        }),
      }),
    );
    await until('the upload waits for its caller', () => isAsked);
    await pass(300_000);
    expect(waiting).toEqual({});
    workspace.freeze();
    slow.resolve();
    const drained = rejection(
      (async () => {
        while (!(await reader.read()).done);
      })(),
    );
    await passUntil('both have ended', () => drained.error !== undefined && waiting.error !== undefined);
    expect(drained.error).toMatchObject({ code: 'TRANSFER_BROKEN' });
    expect(waiting.error).toMatchObject({ code: 'CONTROL_PLANE_UNREACHABLE' });
  });

  test('a transfer of any kind that gets no answer at all ends after 120 s', async () => {
    workspace.freeze();
    const of = { agentId, path: 'x' };
    const ends = [
      client.files.download(of),
      client.files.downloadArchive(of),
      client.files.upload({ ...of, body: 'text' }),
      client.files.upload({ ...of, body: new Uint8Array(16 * 1024 * 1024) }),
      client.files.upload({ ...of, body: new Blob(['text']) }),
      client.files.uploadArchive({ ...of, body: new Blob(['text']).stream() }),
    ].map(rejection);
    await passUntil('all have ended', () => ends.every(({ error }) => error !== undefined));
    for (const { error } of ends) {
      expect(error).toMatchObject({
        code: 'CONTROL_PLANE_UNREACHABLE',
        message: expect.stringContaining('nothing came for 120 s') as string,
      });
    }
  });
});
