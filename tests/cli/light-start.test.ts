import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { closedAddress } from './closed-address.ts';

const program = fileURLToPath(new URL('../../scripts/caisson.mjs', import.meta.url));
/** What Node itself has loaded, and with `files` which files, as the last line of stderr. */
const builtins = `process.on('exit', () => process.stderr.write('\\n' + JSON.stringify(process.moduleLoadList)));`;
const files = `
  import { registerHooks } from 'node:module';
  const loaded = [];
  registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
  process.on('exit', () => process.stderr.write('\\n' + JSON.stringify(loaded)));`;

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'caisson-light-start-'));
});
afterAll(() => rm(directory, { recursive: true }));

/** What `caisson …` loads, by `listing`; where it calls, to find out that no control plane is at `url`. */
async function loadedBy(args: readonly string[], url: string, listing = files): Promise<readonly string[]> {
  const flags = ['--import', `data:text/javascript,${encodeURIComponent(listing)}`];
  const env = { PATH: process.env['PATH'], TMPDIR: directory, CAISSON_URL: url, CAISSON_API_KEY: 'ck_x' };
  return await new Promise((resolve) => {
    execFile(process.execPath, [...flags, program, ...args], { env, cwd: directory }, (_error, _stdout, stderr) => {
      resolve(JSON.parse(stderr.slice(stderr.lastIndexOf('\n'))) as string[]);
    });
  });
}

const packages = /\/node_modules\/(zod|dockerode|ws|kysely|fastify)\//;

test('what strips types is loaded for a first start only: later ones have the files from a cache', async () => {
  const url = await closedAddress();
  const stripper = 'NativeModule internal/deps/amaro/dist/index';
  expect(await loadedBy(['--version'], url, builtins)).toContain(stripper);
  expect(await loadedBy(['--version'], url, builtins)).not.toContain(stripper);
});

test('a command loads itself, and neither those beside it nor what only others need', async () => {
  const loaded = await loadedBy(['agents', 'list'], await closedAddress());
  expect(loaded.filter((url) => url.includes('/commands/agents-'))).toEqual([
    expect.stringMatching(/\/agents-list\.ts$/),
  ]);
  expect(loaded.filter((url) => packages.test(url))).toEqual([]);
});

test('the doctor loads no client of Docker for a control plane that is elsewhere, and not all of it for one that is here', async () => {
  const here = new URL(await closedAddress());
  const elsewhere = `http://[::ffff:127.0.0.1]:${here.port}`; // the same place, in a spelling that is not known for it
  expect((await loadedBy(['doctor'], elsewhere)).filter((url) => packages.test(url))).toEqual([]);
  const loaded = await loadedBy(['doctor'], here.href);
  expect(loaded.filter((url) => url.includes('/node_modules/dockerode/'))).not.toEqual([]);
  expect(loaded.filter((url) => url.includes('/@grpc/'))).toEqual([]);
});
