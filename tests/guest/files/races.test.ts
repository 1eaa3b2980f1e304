import type * as nodeFs from 'node:fs';
import { closeSync, openSync, readFileSync, readdirSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { BoundedWork } from '../../../src/guest/bounded-work.ts';
import { Confinement } from '../../../src/guest/files/confinement.ts';
import type { SandboxPath } from '../../../src/guest/files/sandbox-path.ts';
import { copy, move } from '../../../src/guest/files/transfer.ts';
import { appendWhole, writeWhole } from '../../../src/guest/files/write-file.ts';

/** What happens right after something was looked at, and before it is used: once. */
let afterLook: ((path: string) => boolean) | undefined;
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof nodeFs>();
  const lstatSync = (...args: Parameters<typeof fs.lstatSync>) => {
    const stats = fs.lstatSync(...args);
    const meanwhile = afterLook;
    afterLook = undefined;
    if (meanwhile !== undefined && !meanwhile(args[0].toString())) afterLook = meanwhile;
    return stats;
  };
  return { ...fs, lstatSync };
});

let root: string;
let confinement: Confinement;
beforeEach(async () => {
  root = join(await mkdtemp(join(tmpdir(), 'caisson-races-')), 'root');
  await mkdir(root);
  confinement = new Confinement([root]);
});
afterEach(() => {
  expect(afterLook).toBeUndefined(); // else it was never asked
  return rm(join(root, '..'), { recursive: true });
});

const at = (name: string): string => join(root, name);
const path = (name: string): SandboxPath => confinement.parse(Buffer.from(name));
/** `work` is done after the nth look at `name`. */
const meanwhile = (name: string, nth: number, work: () => void): void => {
  let looks = 0;
  afterLook = (looked) => {
    if (!looked.endsWith(`/${name}`)) return false;
    looks += 1;
    if (looks === nth) work();
    return looks === nth;
  };
};
const transfer = {
  overwrite: false,
  signal: new AbortController().signal,
  copies: new BoundedWork({ name: 'copies', running: 1 }),
};

test('F13: a file that becomes a link before it is appended to is not followed', () => {
  writeFileSync(at('f'), 'f');
  writeFileSync(join(root, '../outside'), 'secret');
  meanwhile('f', 1, () => {
    unlinkSync(at('f'));
    symlinkSync('../outside', at('f'));
  });
  expect(() => appendWhole(confinement.placeOfFile(path('f')), Buffer.from('x'), {})).toThrow(
    expect.objectContaining({ code: 'PATH_FORBIDDEN' }),
  );
  expect(readFileSync(join(root, '../outside'), 'utf8')).toBe('secret');
});

test('F13: what is written where a link leads is refused when that is another file by now', () => {
  writeFileSync(at('f'), 'f');
  const fd = openSync(at('f'), 'r');
  try {
    // The kernel says "f (deleted)" is where it is.
    unlinkSync(at('f'));
    writeFileSync(at('f (deleted)'), 'of another');
    symlinkSync(`/proc/self/fd/${fd}`, at('link'));
    expect(() => writeWhole(confinement.placeOfFile(path('link')), Buffer.from('x'), {})).toThrow(
      expect.objectContaining({ code: 'FILE_CHANGED' }),
    );
    expect(readFileSync(at('f (deleted)'), 'utf8')).toBe('of another');
  } finally {
    closeSync(fd);
  }
});

test('a name that the disk refuses leaves no descriptor open', () => {
  const open = readdirSync('/proc/self/fd').length;
  for (let round = 0; round < 10; round++) {
    expect(() => confinement.placeOfFile(path('n'.repeat(256)))).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST' }),
    );
  }
  expect(readdirSync('/proc/self/fd').length).toBeLessThan(open + 10);
});

test.each([
  ['moved', move],
  ['copied', copy],
])('F13: a file that appears where another is %s to in this moment is not replaced', async (_what, work) => {
  writeFileSync(at('from'), 'from');
  meanwhile('to', 1, () => writeFileSync(at('to'), 'of another'));
  await expect(work(confinement, { ...transfer, from: path('from'), to: path('to') })).rejects.toMatchObject({
    code: 'FILE_EXISTS',
  });
  expect(readFileSync(at('to'), 'utf8')).toBe('of another');
  expect(readFileSync(at('from'), 'utf8')).toBe('from');
  expect(readdirSync(root).sort()).toEqual(['from', 'to']);
});

test('F13: a file that appears where one is made with ifNoneMatch is not replaced', () => {
  meanwhile('to', 1, () => writeFileSync(at('to'), 'of another'));
  expect(() => writeWhole(confinement.placeOfFile(path('to')), Buffer.from('x'), { ifNoneMatch: '*' })).toThrow(
    expect.objectContaining({ code: 'FILE_EXISTS' }),
  );
  expect(readFileSync(at('to'), 'utf8')).toBe('of another');
  expect(readdirSync(root)).toEqual(['to']);
});
