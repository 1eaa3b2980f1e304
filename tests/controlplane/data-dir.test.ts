import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openDataDir, replacePrivateFile } from '../../src/controlplane/data-dir.ts';

let parent: string;
const logger = { warn: vi.fn() };
beforeEach(async () => {
  logger.warn.mockClear();
  parent = await mkdtemp(join(tmpdir(), 'caisson-data-'));
});
afterEach(async () => {
  await rm(parent, { recursive: true });
});

test('the directory is made private, and its instance keeps its name', async () => {
  const path = join(parent, 'a', 'b');
  const { instance } = await openDataDir({ path, instance: null, logger });
  expect(instance).toMatch(/^c[0-9a-f]{10}$/);
  expect((await stat(path)).mode & 0o777).toBe(0o700);
  expect(await openDataDir({ path, instance: null, logger })).toEqual({ path, instance });
  expect(await readdir(path)).toEqual(['instance']);
  expect(logger.warn).not.toHaveBeenCalled();
});

test('a directory that others can look into keeps its mode, and the log says so', async () => {
  await chmod(parent, 0o755);
  await openDataDir({ path: parent, instance: null, logger });
  expect((await stat(parent)).mode & 0o777).toBe(0o755);
  expect(logger.warn).toHaveBeenCalledExactlyOnceWith(
    { path: parent },
    expect.stringContaining('others can look into'),
  );
});

test('two that open a new directory at once agree on its name', async () => {
  const opened = await Promise.all(
    Array.from({ length: 8 }, () => openDataDir({ path: parent, instance: null, logger })),
  );
  expect(new Set(opened.map(({ instance }) => instance)).size).toBe(1);
});

test('a given name counts, and is not stored', async () => {
  expect((await openDataDir({ path: parent, instance: 'mine', logger })).instance).toBe('mine');
  expect(await readdir(parent)).toEqual([]);
});

test('a directory that cannot be used is named', async () => {
  const path = join(parent, 'file');
  await writeFile(path, '');
  const refused = { code: 'CONFIG_INVALID', message: expect.stringContaining(`CAISSON_DATA_DIR=${path}`) };
  await expect(openDataDir({ path, instance: null, logger })).rejects.toMatchObject(refused);
  await mkdir(join(parent, 'd'));
  await writeFile(join(parent, 'd', 'instance'), 'Not A Name');
  await expect(openDataDir({ path: join(parent, 'd'), instance: null, logger })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
  });
});

test('a private file is replaced as a whole', async () => {
  const file = join(parent, 'secret');
  await writeFile(file, 'old', { mode: 0o644 });
  await replacePrivateFile(file, 'new');
  expect(await readFile(file, 'utf8')).toBe('new');
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await readdir(parent)).toEqual(['secret']);
});
