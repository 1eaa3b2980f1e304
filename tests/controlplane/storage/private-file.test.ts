import { chmodSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { takeInstanceLock } from '../../../src/controlplane/storage/instance-lock.ts';
import { makePrivateFile } from '../../../src/controlplane/storage/private-file.ts';
import { dataDirectory } from './data-directory.ts';

test('a file is made with mode 600, and one that others can read is given it', () => {
  using directory = dataDirectory();
  const [made, open] = [join(directory.path, 'made'), join(directory.path, 'open')];
  writeFileSync(open, 'kept');
  chmodSync(open, 0o644);
  for (const file of [made, open]) {
    makePrivateFile(file);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  }
  expect(statSync(open).size).toBe(4);
});

// Below /proc/self no mode can be changed, also by root, as on a file system that cannot be written.
test('a file that is private already is left as it is; one that cannot be made private is refused by its directory', () => {
  expect(statSync('/proc/self/mem').mode & 0o777).toBe(0o600);
  makePrivateFile('/proc/self/mem');
  expect(() => makePrivateFile('/proc/self/status')).toThrow(
    expect.objectContaining({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/^CAISSON_DATA_DIR=\/proc\/self cannot be used: EPERM/),
    }),
  );
});

test('a data directory in which no file can be made is named', () => {
  expect(() => takeInstanceLock('/proc/self', '/proc/self/caisson.db')).toThrow(
    expect.objectContaining({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('CAISSON_DATA_DIR=/proc/self'),
    }),
  );
});
