import { randomBytes } from 'node:crypto';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readKeys, SecretKeyring } from '../../../../src/controlplane/egress/secrets/keyring.ts';
import { openKeyring } from '../../../../src/controlplane/egress/secrets/open-keyring.ts';
import { type LoggedLine, recordingLogger } from '../../recording-logger.ts';
import { dataDirectory } from '../../storage/data-directory.ts';

const key = (): Buffer => randomBytes(32);
const unreadable = expect.objectContaining({ code: 'SECRET_UNREADABLE' });

test('what is sealed is opened for the same identity, and for no other', () => {
  const keyring = new SecretKeyring(new Map([[1, key()]]));
  const sealed = keyring.seal('a value — ü', 'row 1');
  expect(sealed.text).not.toContain(Buffer.from('a value').toString('base64url').slice(0, 8));
  expect(keyring.open(sealed, 'row 1')).toBe('a value — ü');
  expect(() => keyring.open(sealed, 'row 2')).toThrow(unreadable);
  expect(keyring.seal('a value — ü', 'row 1').text).not.toBe(sealed.text);
});

test('what was changed, cut short, or sealed by a key that is gone is not opened', () => {
  const [one, two] = [key(), key()];
  const sealed = new SecretKeyring(new Map([[1, one]])).seal('a value', 'row');
  const bytes = Buffer.from(sealed.text, 'base64url');
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    const text = changed.toString('base64url');
    expect(() => new SecretKeyring(new Map([[1, one]])).open({ keyVersion: 1, text }, 'row')).toThrow(unreadable);
  }
  for (const text of ['', sealed.text.slice(0, 20), sealed.text.slice(0, -4)]) {
    expect(() => new SecretKeyring(new Map([[1, one]])).open({ keyVersion: 1, text }, 'row')).toThrow(unreadable);
  }
  expect(() => new SecretKeyring(new Map([[1, two]])).open(sealed, 'row')).toThrow(unreadable);
  expect(() => new SecretKeyring(new Map([[2, one]])).open(sealed, 'row')).toThrow(unreadable);
});

test('the newest key seals, and older ones open what they sealed', () => {
  const [one, two] = [key(), key()];
  const before = new SecretKeyring(new Map([[1, one]])).seal('a value', 'row');
  const both = new SecretKeyring(
    new Map([
      [2, two],
      [1, one],
    ]),
  );
  expect(both.open(before, 'row')).toBe('a value');
  expect(both.seal('a value', 'row').keyVersion).toBe(2);
});

test('keys are read as versions with 32 bytes each, and nothing else is', () => {
  const [one, two] = [key(), key()];
  expect(readKeys(`1:${one.toString('base64')}, 2:${two.toString('base64url')}\n`)).toEqual(
    new Map([
      [1, one],
      [2, two],
    ]),
  );
  const encoded = one.toString('base64');
  for (const text of [
    '',
    encoded,
    `0:${encoded}`,
    `1:${encoded.slice(4)}`,
    `1:${encoded},1:${encoded}`,
    `1:${encoded},`,
  ]) {
    expect(readKeys(text)).toBeUndefined();
  }
});

test('the key is made once, in a file that only its owner can read, and is closed to others again', async () => {
  using directory = dataDirectory();
  const log: LoggedLine[] = [];
  const open = () => openKeyring({ dataDir: directory.path, keys: null, logger: recordingLogger(log) });
  const sealed = (await open()).seal('a value', 'row');
  const file = join(directory.path, 'secrets.key');
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const text = await readFile(file, 'utf8');
  await chmod(file, 0o644);
  expect((await open()).open(sealed, 'row')).toBe('a value');
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(log).toMatchObject([{ level: 'warn', message: expect.stringContaining('private again') }]);
  expect(await readFile(file, 'utf8')).toBe(text);
});

test('a file that holds something else is told, and never overwritten', async () => {
  using directory = dataDirectory();
  const file = join(directory.path, 'secrets.key');
  await writeFile(file, 'half a ke');
  const opening = openKeyring({ dataDir: directory.path, keys: null, logger: recordingLogger([]) });
  await expect(opening).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  expect(await readFile(file, 'utf8')).toBe('half a ke');
});
