import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningWorkspace, startWorkspace } from '../controlplane/workspace/running-workspace.ts';
import { startCuttingRelay } from '../client/cutting-relay.ts';
import { repositoryRoot } from '../package/installed-package.ts';
import { until } from '../until.ts';
import { caisson, CliProcess, type Ended } from './command.ts';

let workspace: RunningWorkspace;
let environment: Record<string, string>;
let local: string;
const cli = (...args: string[]): Promise<Ended> => caisson(['files', ...args], environment);

beforeAll(async () => {
  workspace = await startWorkspace();
  environment = { CAISSON_URL: workspace.url, CAISSON_API_KEY: workspace.apiKey };
  local = await mkdtemp(join(tmpdir(), 'caisson-local-'));
  await writeFile(join(local, 'index.html'), 'hello\n');
  await mkdir(join(workspace.roots[0], 'site'));
  await writeFile(join(workspace.roots[0], 'site/a.ts'), 'needle\n');
  await writeFile(join(workspace.roots[0], 'site/b.js'), 'needle\n');
  await writeFile(join(workspace.roots[0], 'hello.txt'), 'hello\n');
});
afterAll(async () => {
  await workspace[Symbol.asyncDispose]();
  await rm(local, { recursive: true });
});

test.for([
  [['rm', 'worker:site'], 'the folder is not empty.', '`caisson files rm -r` removes'],
  [['mkdir', 'worker:d1/d2'], '"d1": there is no such folder.', '`caisson files mkdir -p` makes'],
  [['mkdir', 'worker:site'], 'exists already.', 'Choose another name. With -p'],
  [['mv', 'worker:hello.txt', 'site/a.ts'], 'exists already.', 'Choose another name. -f replaces'],
  [['cp', 'worker:hello.txt', 'site/a.ts'], 'exists already.', 'Choose another name. -f replaces'],
  [['cat', 'worker:site'], 'is a folder.', '`caisson files ls` lists'],
  [['cat', 'worker:nope'], 'there is no such file or folder.', '`caisson files ls <agent>:<folder>`'],
  [['cat', 'hello.txt'], '"hello.txt" names no agent.', 'Write <agent>:<path>'],
  [['get', 'worker:hello.txt', '/nosuch/dir/x'], '"/nosuch/dir": no such file or directory.', 'Check the local path'],
  [['watch', 'worker:', '--cursor', 'foo'], 'cursor: must be the `cursor` of an item.', '`caisson files watch --help`'],
  [['watch', 'worker:hello.txt'], 'it, or a part of its path, is not a folder.', 'Watch the folder that it is in.'],
] as const)('the hint says what to type: %j', async ([args, message, hint]) => {
  const { exitCode, stderr } = await cli(...args);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^error: .*\nhint: .*\n$/);
  expect(stderr).toContain(`${message}\n`);
  expect(stderr).toContain(`\nhint: ${hint}`);
});

test('a file that is put where a folder is: the slash is named, and is what helps', async () => {
  const file = join(local, 'index.html');
  expect((await cli('put', file, 'worker:site')).stderr).toContain('hint: End the path with a slash');
  expect(await cli('put', file, 'worker:site/')).toMatchObject({ exitCode: 0 });
  expect((await cli('cat', 'worker:site/index.html')).stdout).toBe('hello\n');
});

test('through npm, which runs scripts in the root, paths are taken from where it was called, the data directory is not', async () => {
  const args = ['files', 'put', 'index.html', 'worker:from-npm'];
  const npm = spawn('npm', ['--prefix', repositoryRoot, 'run', '-s', 'caisson', '--', ...args], {
    cwd: local,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment },
  });
  await once(npm, 'close');
  expect(npm.exitCode).toBe(0);
  expect((await cli('cat', 'worker:from-npm')).stdout).toBe('hello\n');
  const inNpm = { npm_lifecycle_event: 'caisson', INIT_CWD: local, CAISSON_URL: workspace.url };
  const { stderr } = await caisson(['files', 'ls', 'worker:'], { ...inNpm, CAISSON_DATA_DIR: 'data' });
  expect(stderr).toContain(`${join(tmpdir(), 'data/admin.key')} cannot be read`);
});

test('--exclude takes one value, so that what follows is an argument, and may be given again', async () => {
  await mkdir(join(local, 'tree/one'), { recursive: true });
  await mkdir(join(local, 'tree/two'));
  for (const name of ['one/a', 'two/b', 'c']) await writeFile(join(local, 'tree', name), name);
  const { exitCode, stderr } = await cli(
    'sync',
    '--exclude',
    'one',
    '--exclude',
    'two',
    `${local}/tree`,
    'worker:tree',
  );
  expect([exitCode, stderr]).toEqual([0, expect.stringContaining('put c')]);
  expect((await cli('ls', '-r', 'worker:tree', '--json')).stdout.trim().split('\n')).toHaveLength(1);
});

test('a size is told in the units of the disk and its quota, by what sends, lists and fetches it', async () => {
  await writeFile(join(local, 'sized'), Buffer.alloc(60_000));
  expect((await cli('put', join(local, 'sized'), 'worker:sized')).stderr).toBe('Put 1 file, 59 KiB, in worker:sized\n');
  expect((await cli('ls', 'worker:sized')).stdout).toMatch(/ 59 KiB .* sized\n/);
  expect((await cli('get', 'worker:sized', join(local, 'fetched'))).stderr).toMatch(/^Got 1 file, 59 KiB, in /);
});

test('put leaves links out that lead out of the folder, such as those of a Python venv, and sends the rest', async () => {
  const bin = join(local, 'venv/project/.venv/bin');
  await mkdir(bin, { recursive: true });
  await writeFile(join(bin, 'activate'), 'x');
  const links = {
    python3: '/usr/bin/python3',
    python: 'python3',
    up: '../../../x',
    root: '../..',
    not: 'a/../../../..',
  };
  for (const [name, target] of Object.entries(links)) await symlink(target, join(bin, name));
  const { exitCode, stderr } = await cli('put', join(local, 'venv/project'), 'worker:venv');
  const told = stderr.trim().split('\n');
  expect([exitCode, told.pop()]).toEqual([0, 'Put 1 file, 1 B, in worker:venv']);
  expect(told.toSorted()).toEqual(
    ['not', 'python3', 'up'].map((name) => `Left out, since it could lead out of the folder: .venv/bin/${name}`),
  );
  const there = await readdir(join(workspace.roots[0], 'venv/.venv/bin'));
  expect(there.toSorted()).toEqual(['activate', 'python', 'root']);
});

test('`files watch` tells that it is cut off', async () => {
  await using relay = await startCuttingRelay(workspace.url);
  const watching = new CliProcess(['files', 'watch', 'worker:'], { ...environment, CAISSON_URL: relay.url });
  try {
    await until('it watches', () => watching.stdout.includes('"type":"ready"'));
    relay.lifeOf = () => 0;
    relay.cutAll();
    await watching.says('Trying again …');
  } finally {
    watching.child.kill();
    await watching.ended();
  }
});

test.for([
  [(folder: string) => ['put', `${folder}/nope`, 'worker:x'], 'nope": no such file or directory.'],
  [(folder: string) => ['put', `${folder}/index.html/x`, 'worker:x'], 'index.html/x": not a directory.'],
  [(folder: string) => ['sync', `${folder}/index.html`, 'worker:x'], 'index.html": not a directory.'],
] as const)('what this machine refuses is told without Node’s codes and calls: %#', async ([args, message]) => {
  const { exitCode, stderr } = await cli(...args(local));
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining(message)]);
  expect(stderr).toContain(`error: On this machine: "${local}/`);
  expect(stderr).not.toMatch(/ENO|stat|scandir/);
});
