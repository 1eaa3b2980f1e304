import { lstatSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { HalfFile } from '../../../src/cli/files/half-file.ts';

vi.mock('../../../src/kernel/temporary-name.ts', () => ({ temporaryName: () => Buffer.from('guessed.part') }));

test('what has the name of a half file is neither written through nor removed', () => {
  const folder = mkdtempSync(join(tmpdir(), 'caisson-half-'));
  try {
    writeFileSync(join(folder, 'elsewhere'), 'mine');
    symlinkSync('elsewhere', join(folder, 'guessed.part'));
    const where = { folder: Buffer.from(folder), name: Buffer.from('x'), mode: 0o644 };
    expect(() => new HalfFile(where)).toThrow('EEXIST');
    expect(readFileSync(join(folder, 'elsewhere'), 'utf8')).toBe('mine');
    expect(lstatSync(join(folder, 'guessed.part')).isSymbolicLink()).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
