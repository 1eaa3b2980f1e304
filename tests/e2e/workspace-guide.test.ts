import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { repositoryRoot } from '../../scripts/harness-install.ts';
import { codeBlocks } from '../docs/markdown.ts';
import { startTestControlPlane } from './support/control-plane.ts';

test('the TypeScript of docs/workspace.md runs, from its first block to its last', async () => {
  await using plane = await startTestControlPlane();
  const { id: agentId } = await plane.client.agents.create.mutate({ name: 'demo', wait: true });
  await using held = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'caisson-guide-'));
  held.defer(() => rm(directory, { recursive: true }));
  const blocks = await codeBlocks(join(repositoryRoot, 'docs/workspace.md'), 'ts');
  const program = blocks
    .join('\n')
    .replace("'caisson'", JSON.stringify(new URL('../../src/client/index.ts', import.meta.url).href))
    .replace('http://127.0.0.1:7070', plane.url);
  await writeFile(join(directory, 'guide.mts'), program);
  const { stdout } = await promisify(execFile)(process.execPath, [join(directory, 'guide.mts')], {
    env: { PATH: process.env['PATH'], CAISSON_API_KEY: plane.adminKey },
    timeout: 100_000,
  });
  expect(stdout).toContain('TODO: write this\n/workspace/notes/todo.txt 1 TODO: write this\n');
  expect(stdout).toContain('changed /workspace/notes/todo.txt\n');
  expect(stdout).toContain('apple\npear\n  0\n');
  expect(stdout).toMatch(/\$ ls; exit\r\n[^]*notes/);
  expect(stdout).toContain(`http://5173-${agentId}.preview.localhost:`);
  const { items } = await plane.client.previews.list.query({ agentId });
  expect(items.map(({ state }) => state)).toEqual(['revoked']);
}, 300_000);
