import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { raiseIn } from '../../scripts/inotify.ts';
import { examineInotify } from '../../src/cli/doctor/inotify-findings.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'caisson-inotify-'));
});
afterEach(() => rm(folder, { recursive: true }));

const raise = (): string[] => {
  const lines: string[] = [];
  raiseIn(folder, (line) => lines.push(line));
  return lines;
};

test('what is low is raised and said once; doctor names it before, and nothing afterwards', async () => {
  await writeFile(join(folder, 'max_user_instances'), '128\n');
  await writeFile(join(folder, 'max_user_watches'), '2000000\n');
  expect(examineInotify({}, folder)).toMatchObject([
    { state: 'note', says: expect.stringContaining('fs.inotify.max_user_instances is 128') },
  ]);
  expect(examineInotify({ DOCKER_HOST: 'tcp://elsewhere:2375' }, folder)).toEqual([]);
  expect(raise()).toEqual([expect.stringContaining('fs.inotify.max_user_instances from 128 to 8192')]);
  expect(await readFile(join(folder, 'max_user_instances'), 'utf8')).toBe('8192');
  expect(await readFile(join(folder, 'max_user_watches'), 'utf8')).toBe('2000000\n');
  expect(raise()).toEqual([]);
  expect(examineInotify({}, folder)).toEqual([]);
});

test('a machine that refuses, or has no such limits, holds no start up', async () => {
  expect(raise()).toEqual([]);
  await symlink('/proc/sys/kernel/ngroups_max', join(folder, 'max_user_watches')); // 65536, and nobody may write it
  expect(raise()).toEqual([expect.stringMatching(/^fs.inotify.max_user_watches is 65536, and cannot be raised \(E/)]);
});
