import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { pathFromBytes } from '../../../src/kernel/file-path.ts';
import { maxPathBytes } from '../../../src/wire/contract/files.ts';
import { runGuest } from '../running-guest.ts';

test('an error about a long path of odd bytes, which takes more than a trailer holds, ends a watch and not the guest', async () => {
  await using running = await runGuest();
  const { files } = await running.client();
  const [root] = running.roots;
  const room = maxPathBytes - Buffer.byteLength(root) - 1;
  const names = Array.from({ length: Math.floor(room / 255) }, () => '\x01'.repeat(254));
  execFileSync('mkdir', ['-p', names.join('/')], { cwd: root });
  const path = pathFromBytes(Buffer.from(`${root}/${names.join('/')}`));
  const items = files.watch({ path, recursive: false, exclude: [], cursor: null });
  await expect(items.next()).resolves.toMatchObject({ value: { type: 'ready' } });
  execFileSync('rm', ['-r', names[0] ?? ''], { cwd: root });
  await expect(items.next()).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  await expect(files.stat(Buffer.from(root))).resolves.toMatchObject({ type: 'directory' });
});
