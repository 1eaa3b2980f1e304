import { createServer as createHttpServer } from 'node:http';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { CaissonError } from '../../../src/kernel/errors.ts';
import { type EgressFixture, listen, openEgress } from './egress-fixture.ts';

const run = promisify(execFile);

/** What a program reads, with the status after it. */
async function curl(args: readonly string[]): Promise<string> {
  const all = ['-sS', '-m', '20', '-w', ' %{http_code}', ...args];
  const { stdout, stderr } = await run('curl', all, { env: { PATH: process.env['PATH'] } }).catch(
    (thrown: unknown) => thrown as { stdout: string; stderr: string },
  );
  return stdout + stderr;
}

/** Lets so many bytes through. Calls `onPassed` with how many it still does. */
function limit(egress: EgressFixture, bytes: number, onPassed: (left: number) => void = () => undefined): void {
  let left = bytes;
  egress.meter.take = async (_agentId, asked) => {
    if (asked > left) throw new CaissonError('QUOTA_EXCEEDED', 'The egress_bytes quota of this user has no room.');
    left -= asked;
    onPassed(left);
  };
}

test.each([
  ['the request has no room', 10],
  ['its answer has none', 400],
])('a plain request is told that the quota is used up, where %s', async (_what, bytes) => {
  await using egress = await openEgress();
  const server = createHttpServer((_request, response) => response.end('x'.repeat(1_000)));
  await using host = await listen(server);
  const url = `http://some.host:${host.port}/`;
  const http = `http://127.0.0.1:${egress.httpProxyPort}`;
  const told = /^QUOTA_EXCEEDED: The egress_bytes quota of this user has no room\. .*\n 429$/;
  const ways = [
    ['-x', http, url],
    ['-p', '-x', http, url],
    ['-x', `socks5h://127.0.0.1:${egress.socksProxyPort}`, url],
    ['-x', http, '-d', 'a body', url],
  ];
  for (const [count, way] of ways.entries()) {
    limit(egress, bytes);
    expect(await curl(way)).toMatch(told);
    expect(await egress.recorded(count + 1)).toMatchObject({ outcome: 'over_quota' });
  }
});

test('bytes that cannot be counted do not go on, and no quota is blamed for it', async () => {
  await using egress = await openEgress();
  const server = createHttpServer((_request, response) => response.end());
  await using host = await listen(server);
  egress.meter.take = async () => await Promise.reject(new Error('database or disk is full'));
  const url = `http://some.host:${host.port}/`;
  const told = await curl(['-x', `http://127.0.0.1:${egress.httpProxyPort}`, url]);
  expect(told).toMatch(/^INTERNAL: Something went wrong inside Caisson\. .*\n 500$/);
  expect(await egress.recorded()).toMatchObject({ outcome: 'refused' });
});

test('an answer that has begun is cut, and never looks whole', async () => {
  await using egress = await openEgress();
  const begun = Promise.withResolvers<void>();
  const server = createHttpServer((_request, response) => {
    response.write('x'.repeat(10_000));
    void begun.promise.then(() => response.end('y'.repeat(90_000)));
  });
  await using host = await listen(server);
  limit(egress, 50_000, (left) => {
    if (left < 45_000) begun.resolve();
  });
  const outcome = await curl([
    '-p',
    '-x',
    `http://127.0.0.1:${egress.httpProxyPort}`,
    `http://some.host:${host.port}/`,
  ]);
  expect(outcome).not.toContain('QUOTA_EXCEEDED');
  expect(outcome).toMatch(/curl: \(\d+\)/);
  expect(await egress.recorded()).toMatchObject({ outcome: 'over_quota' });
});

test('what cannot be counted, as on a full disk, does not go on, and is no quota that is used up', async () => {
  await using egress = await openEgress();
  await using host = await listen(createHttpServer((_request, response) => response.end('x')));
  egress.meter.take = async () => {
    throw new CaissonError('STORAGE_UNAVAILABLE', 'The disk is full.');
  };
  const told = await curl(['-x', `http://127.0.0.1:${egress.httpProxyPort}`, `http://some.host:${host.port}/`]);
  expect(told).toMatch(/^STORAGE_UNAVAILABLE: The disk is full\. .*\n 503$/);
  expect(await egress.recorded()).toMatchObject({ outcome: 'refused', reason: 'The disk is full.' });
});
