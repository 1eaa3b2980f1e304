import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packFolder } from '../../src/cli/files/pack-folder.ts';
import { unpackFolder } from '../../src/cli/files/unpack-folder.ts';
import type { FileSearchMatch } from '../../src/client/index.ts';
import { agentIdSchema } from '../../src/kernel/ids.ts';
import { GuestClient } from '../../src/wire/guest-client.ts';
import { run } from '../guest/processes/outputs.ts';
import { startTestControlPlane, type TestControlPlane } from './support/control-plane.ts';

let plane: TestControlPlane;
let agentId: string;
let guest: GuestClient;
beforeAll(async () => {
  plane = await startTestControlPlane();
  ({ id: agentId } = await plane.client.agents.create.mutate({ name: 'filer', wait: true }));
  guest = new GuestClient(await plane.provider.connect(agentIdSchema.parse(agentId), 'inward'));
}, 300_000);
afterAll(async () => {
  await guest.close();
  await plane[Symbol.asyncDispose]();
});

const inside = async (script: string): Promise<void> => {
  const { exitCode, stderr } = await run(guest, ['sh', '-c', script]);
  if (exitCode !== 0) throw new Error(`${script}: ${stderr}`);
};
const files = (): TestControlPlane['client']['files'] => plane.client.files;
const matches = async (options: Omit<Parameters<TestControlPlane['client']['files']['search']>[0], 'agentId'>) => {
  const found: FileSearchMatch[] = [];
  let isCut: boolean | undefined;
  for await (const item of files().search({ agentId, ...options })) {
    if (item.type === 'matches') found.push(...item.matches);
    else ({ isCut } = item);
  }
  return { found, isCut };
};

test('the roots are /workspace, the home and /tmp, and files move between them', async () => {
  await files().write.mutate({ agentId, path: 'a.txt', content: 'x' });
  await files().write.mutate({ agentId, path: '/home/agent/b.txt', content: 'x' });
  await expect(files().move.mutate({ agentId, from: 'a.txt', to: '/tmp/none/a.txt' })).rejects.toMatchObject({
    code: 'FILE_NOT_FOUND',
  });
  await files().move.mutate({ agentId, from: 'a.txt', to: '/tmp/a.txt' });
  expect((await files().read.query({ agentId, path: '/tmp/a.txt' })).content).toBe('x');
  for (const path of ['/etc/passwd', '/home/other', '/run/caisson/inward.sock', '/proc/1/environ', '/dev/null']) {
    await expect(files().stat.query({ agentId, path })).rejects.toMatchObject({ code: 'PATH_FORBIDDEN' });
  }
});

test('what the agent may not read or write is refused', async () => {
  await inside(
    'mkdir /workspace/locked && echo x > /workspace/locked/f && chmod 000 /workspace/locked/f && echo y > /workspace/ro && chmod 444 /workspace/ro && mkdir -m 500 /workspace/closed',
  );
  await expect(files().read.query({ agentId, path: 'locked/f' })).rejects.toMatchObject({ code: 'FILE_ACCESS_DENIED' });
  await expect(files().write.mutate({ agentId, path: 'ro', content: '' })).rejects.toMatchObject({
    code: 'FILE_ACCESS_DENIED',
  });
  await expect(files().write.mutate({ agentId, path: 'closed/x', content: '' })).rejects.toMatchObject({
    code: 'FILE_ACCESS_DENIED',
  });
  for (const format of ['tar', 'zip'] as const) {
    await expect(files().downloadArchive({ agentId, path: 'locked', format })).rejects.toMatchObject({
      code: 'FILE_ACCESS_DENIED',
      details: { path: '/workspace/locked/f' },
    });
  }
});

test('names and contents are searched with ripgrep, bounded, and what cannot be read is said', async () => {
  await inside(
    `mkdir -p /workspace/s/.hidden && cd /workspace/s && git init -q . && printf 'needle one\\n' > a.ts && printf 'x\\nneedle\\377 two\\n' > "$(printf 'b\\nc.ts')" && echo needle > .hidden/h && echo needle > ignored && echo ignored > .gitignore && i=0; while [ $i -lt 300 ]; do echo "needle $i"; i=$((i+1)); done > many.txt`,
  );
  const ts = await matches({ path: 's', query: 'needle', globs: ['*.ts'] });
  expect(new Map(ts.found.map(({ path, line, column }) => [path, [line, column]]))).toEqual(
    new Map([
      ['/workspace/s/a.ts', [1, 1]],
      ['/workspace/s/b\nc.ts', [2, 1]],
    ]),
  );
  expect(ts.isCut).toBe(false);
  const bounded = await matches({ path: 's', query: 'needle', limit: 250 });
  expect([bounded.found.length, bounded.isCut]).toEqual([250, true]);
  const all = await matches({
    path: 's',
    query: 'NEEDLE',
    ignoreCase: true,
    includeIgnored: true,
    globs: ['!many.txt'],
  });
  expect(all.found.map(({ path }) => path)).toContain('/workspace/s/ignored');
  expect((await matches({ path: 's', query: '*.ts', by: 'name' })).found).toHaveLength(2);
  expect((await matches({ path: 's', query: 'any', by: 'name' })).found.map(({ path }) => path)).toEqual([
    '/workspace/s/many.txt',
  ]);
  expect((await matches({ path: 's', query: 'n(', literal: true })).found).toEqual([]);
  await expect(matches({ path: 's', query: 'n(' })).rejects.toMatchObject({ code: 'BAD_REQUEST' });
});

test('a folder of 100,000 files is listed page by page, while others are served', async () => {
  await inside('mkdir /workspace/large && cd /workspace/large && seq 1 100000 | xargs -n 5000 touch');
  let entries = 0;
  let last = '';
  const listing = (async () => {
    for await (const { path } of files().listAll({ agentId, path: 'large' })) {
      expect(path > last).toBe(true);
      last = path;
      entries += 1;
    }
  })();
  expect((await files().stat.query({ agentId, path: 'large' })).type).toBe('directory');
  await listing;
  expect(entries).toBe(100_000);
  await files().remove.mutate({ agentId, path: 'large', recursive: true });
}, 120_000);

test('a folder goes down and up again as it was, with names that are no text', async () => {
  await inside(
    `mkdir -p /workspace/tree/sub && cd /workspace/tree && printf 'a' > "$(printf 'n\\377\\n')" && ln -s sub link && ln -s /etc out && head -c 3000000 /dev/urandom > sub/big && chmod 755 sub/big`,
  );
  const local = await mkdtemp(join(tmpdir(), 'caisson-files-'));
  try {
    const stream = await files().downloadArchive({ agentId, path: 'tree' });
    const { files: count, leftOut } = await unpackFolder(join(local, 'tree'), buffers(stream));
    expect([count, leftOut]).toEqual([2, ['out']]);
    const body = ReadableStream.from(packFolder(join(local, 'tree'))) as ReadableStream<Uint8Array<ArrayBuffer>>;
    await files().uploadArchive({ agentId, path: 'again', body });
    await inside('cd /workspace && rm tree/out && diff -r --no-dereference tree again && test -x again/sub/big');
    expect((await readFile(join(local, 'tree/sub/big'))).length).toBe(3_000_000);
  } finally {
    await rm(local, { recursive: true, force: true });
  }
});

test('a watch tells what the agent does, and says when a tree is too large', async () => {
  await inside('mkdir /workspace/w');
  const changed: string[] = [];
  let told = false;
  for await (const item of files().watch({ agentId, path: 'w' })) {
    if (item.type === 'ready') await inside('cd /workspace/w && echo x > f && mkdir -p a/b && echo y > a/b/g');
    if (item.type === 'changes') changed.push(...item.changes.map(({ path }) => path));
    if (item.type === 'incomplete') {
      told = true;
      break;
    }
    if (['/workspace/w/f', '/workspace/w/a/b/g'].every((path) => changed.includes(path)) && changed.length < 1_000) {
      await inside('cd /workspace/w && seq 1 5000 | xargs mkdir');
      changed.length = 2_000;
    }
  }
  expect(told).toBe(true);
}, 120_000);

test('the sandbox stops in the middle of a download: the reader is told', async () => {
  await inside('head -c 200M /dev/zero > /workspace/zeros');
  const { stream } = await files().download({ agentId, path: 'zeros' });
  const reader = stream.getReader();
  await reader.read();
  await plane.provider.stop(agentIdSchema.parse(agentId));
  const rest = (async () => {
    for (;;) if ((await reader.read()).done) return;
  })();
  await expect(rest).rejects.toMatchObject({ code: 'TRANSFER_BROKEN', retryable: true });
}, 120_000);

async function* buffers(stream: ReadableStream<Uint8Array>): AsyncGenerator<Buffer> {
  for await (const chunk of stream) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}
