import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { toolEnvironment } from '../../../src/guest/egress/tool-environment.ts';
import { egressProxy, trustFiles } from '../../../src/wire/contract/egress.ts';
import { guestRunDirectory } from '../../../src/wire/contract/guest-api.ts';

const etc = (path: string): Promise<string> =>
  readFile(join(import.meta.dirname, '../../../images/sandbox/etc', path), 'utf8');
const environment = toolEnvironment({ runDirectory: guestRunDirectory, httpProxyPort: egressProxy.httpPort });

test('commands of Codex are given what all others are', async () => {
  const [, set = ''] = (await etc('codex/config.toml')).split('[shell_environment_policy.set]\n');
  const lines = (set.split('\n\n')[0] ?? '').trim().split('\n');
  const given = Object.fromEntries(lines.map((line) => /^(\w+) = "(.*)"$/.exec(line)?.slice(1, 3) ?? []));
  expect(given).toEqual(environment);
});

test('the files of tools name the same way out, and the same authorities', async () => {
  const proxy = `http://${egressProxy.host}:${egressProxy.httpPort}`;
  const bundle = join(guestRunDirectory, trustFiles.bundle);
  expect(await etc('apt/90caisson')).toContain(`Acquire::https::Proxy "${proxy}";`);
  expect(await etc('apt/90caisson')).toContain(`Acquire::http::Proxy "${proxy}";`);
  expect(await etc('apt/90caisson')).toContain(`CaInfo "${bundle}";`);
  expect(await etc('wgetrc')).toContain(`ca_certificate = ${bundle}\n`);
  expect(await etc('ssh/caisson.conf')).toContain(
    `PROXY:${egressProxy.host}:%h:%p,proxyport=${egressProxy.httpPort}\n`,
  );
});
