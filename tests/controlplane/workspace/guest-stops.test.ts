import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pass } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CaissonError } from '../../../src/kernel/errors.ts';
import { agentIdSchema } from '../../../src/kernel/ids.ts';
import { until } from '../../until.ts';
import { type RunningWorkspace, startWorkspace } from './running-workspace.ts';

let workspace: RunningWorkspace;
beforeEach(async () => {
  workspace = await startWorkspace();
});
afterEach(() => workspace[Symbol.asyncDispose]());

const failureOf = async (work: Promise<unknown>): Promise<unknown> =>
  await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );

test('the sandbox stops during an upload and a watch: the upload ends, the watch waits for whoever starts it again', async () => {
  const { client, agent, provider, roots } = workspace;
  const agentId = agent.id;
  const folder = join(roots[0], 'd');
  await mkdir(folder);
  const watch = client.files.watch({ agentId, path: 'd' });
  expect((await watch.next()).value).toMatchObject({ type: 'ready' });
  const watched = failureOf(
    (async () => {
      for await (const item of watch) void item;
    })(),
  );
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: (controller) => controller.enqueue(new Uint8Array(256 * 1024)),
  });
  const uploaded = failureOf(client.files.upload({ agentId, path: 'd/f', body }));
  await until('the upload begins', async () => (await readdir(folder)).length === 1);
  await provider.stop(agentIdSchema.parse(agentId));
  expect(await uploaded).toBeInstanceOf(CaissonError);
  expect((await client.files.write.mutate({ agentId, path: 'again', content: 'x' })).created).toBe(true);
  // This provider keeps no workspace, so the folder is gone with the sandbox.
  expect(await watched).toMatchObject({ code: 'FILE_NOT_FOUND' });
});

test('the sandbox stops while a program waits for its output to be read: who runs it is told', async () => {
  const { client, agent, provider } = workspace;
  const flood = await client.processes.spawn({ agentId: agent.id, command: ['yes'] });
  const written = async (): Promise<string | undefined> =>
    /^wchar: [1-9].*$/m.exec(await readFile(`/proc/${flood.process.pid}/io`, 'utf8'))?.[0];
  await until('it waits', async () => {
    const before = await written();
    await pass(200);
    return before !== undefined && before === (await written());
  });
  await provider.stop(agentIdSchema.parse(agent.id));
  await expect(flood.exit).rejects.toMatchObject({ code: 'WIRE_LOST' });
});

test('the control plane shuts down: who waits for a process is told at once', async () => {
  const { client, agent } = workspace;
  const { id: processId } = await client.processes.start.mutate({ agentId: agent.id, command: ['sleep', '86410'] });
  const wait = client.processes.wait.query({ agentId: agent.id, processId, timeoutMs: 600_000 });
  wait.catch(() => undefined); // looked at below
  await client.processes.get.query({ agentId: agent.id, processId });
  await workspace[Symbol.asyncDispose]();
  await expect(wait).rejects.toMatchObject({ code: 'DRAINING' });
});
