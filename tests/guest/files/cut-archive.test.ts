import { randomBytes } from 'node:crypto';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { maxDepth } from '../../../src/wire/contract/files.ts';
import { type FilesClient, wholeOf } from '../../../src/wire/files-client.ts';
import { asNobody } from '../as-nobody.ts';
import { type RunningGuest, runGuest } from '../running-guest.ts';

let running: RunningGuest;
let files: FilesClient;
let asRoot: () => void;
beforeEach(async () => {
  asRoot = asNobody();
  running = await runGuest();
  ({ files } = await running.client());
});
afterEach(async () => {
  await running[Symbol.asyncDispose]();
  asRoot();
});

const here = Buffer.from('');
/** More than is held back before an archive begins, however well it is compressed. */
const large = randomBytes(1024 * 1024);

describe.each(['tar', 'zip'] as const)('a %s archive', (format) => {
  test('of a file that may not be read is refused, with its name: nothing was sent yet', async () => {
    const path = join(running.roots[0], 'folder/locked');
    await mkdir(join(path, '..'));
    await writeFile(path, 'x', { mode: 0 });
    await expect(files.openArchive(here, format)).rejects.toMatchObject({
      code: 'FILE_ACCESS_DENIED',
      details: { path },
    });
    await expect(files.stat(here)).resolves.toMatchObject({ type: 'directory' });
  });

  test('of a folder that may not be entered is refused, with its name', async () => {
    const path = join(running.roots[0], 'locked');
    await mkdir(path);
    await writeFile(join(path, 'x'), 'x');
    await chmod(path, 0o600);
    const refused = { code: 'FILE_ACCESS_DENIED', details: { path: join(path, 'x') } };
    await expect(files.openArchive(here, format)).rejects.toMatchObject(refused);
    await chmod(path, 0);
    await expect(files.openArchive(here, format)).rejects.toMatchObject({ ...refused, details: { path } });
    await chmod(path, 0o700);
  });

  test('that fails when some of it was sent is cut, and no short one, and says why', async () => {
    await writeFile(join(running.roots[0], 'large'), large);
    const path = join(running.roots[0], 'locked');
    await writeFile(path, 'x', { mode: 0 });
    const stream = await files.openArchive(here, format);
    await expect(buffer(wholeOf(stream, undefined))).rejects.toMatchObject({
      code: 'FILE_ACCESS_DENIED',
      details: { path },
    });
  });

  test('of a tree that is too deep is cut or refused', async () => {
    await mkdir(join(running.roots[0], ...Array<string>(maxDepth + 1).fill('d')), { recursive: true });
    const archive = async (): Promise<Buffer> =>
      await buffer(wholeOf(await files.openArchive(here, format), undefined));
    await expect(archive()).rejects.toMatchObject({ code: 'LIMIT_REACHED' });
  });
});
