import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { repositoryRoot } from '../../scripts/harness-install.ts';
import { openStorage } from '../../src/controlplane/storage/open-storage.ts';
import { newUserId } from '../../src/kernel/ids.ts';
import { codeBlocks } from './markdown.ts';

const execute = promisify(execFile);

test('the backup command of docs/operations.md takes a whole and private copy while the store is open', async () => {
  await using undo = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'caisson-backup-'));
  undo.defer(() => rm(directory, { recursive: true }));
  const [command] = (await codeBlocks(join(repositoryRoot, 'docs/operations.md'), 'sh')).filter((block) =>
    block.includes('vacuum into'),
  );
  if (command === undefined) throw new Error('the document has no backup command');

  const live = await openStorage(join(directory, '.caisson'));
  undo.defer(() => live.close());
  const user = { id: newUserId(), name: 'ada', role: 'member', createdAt: 1, disabledAt: null } as const;
  await live.identities.insertUser(user);
  const script = command.replace('node_modules/.bin/node', process.execPath);
  await execute('sh', ['-c', `umask 022\n${script}`], { cwd: directory });

  const copy = join(directory, '.caisson/caisson-backup.db'); // which git ignores
  expect((await stat(copy)).mode & 0o777).toBe(0o600);
  await mkdir(join(directory, 'restored'));
  await copyFile(copy, join(directory, 'restored/caisson.db'));
  const restored = await openStorage(join(directory, 'restored'));
  undo.defer(() => restored.close());
  expect(await restored.identities.findUserByName('ada')).toEqual(user);
});

test('each backup command of docs/operations.md keeps its copy private', async () => {
  const text = await readFile(join(repositoryRoot, 'docs/operations.md'), 'utf8');
  const commands = text.match(/^.*caisson-backup\.db.*$/gm) ?? [];
  expect(commands).toHaveLength(2);
  for (const command of commands) expect(command).toMatch(/\(umask 077; .* \S*\.caisson\/caisson-backup\.db/);
});

test('the unit of docs/operations.md starts what is there', async () => {
  const [unit = ''] = await codeBlocks(join(repositoryRoot, 'docs/operations.md'), 'ini');
  const manifest = await readFile(join(repositoryRoot, 'package.json'), 'utf8');
  expect(manifest).toContain('"setup": ');
  expect(unit).toMatch(/^ExecStart=\S+\/node_modules\/\.bin\/node src\/cli\/main\.ts start$/m);
});
