import { expect, test } from 'vitest';
import { modeText } from '../../../src/cli/output/mode-text.ts';

test.for([
  ['file', 0o644, '-rw-r--r--'],
  ['directory', 0o755, 'drwxr-xr-x'],
  ['link', 0o777, 'lrwxrwxrwx'],
  ['other', 0, '?---------'],
  ['file', 0o6754, '-rwsr-sr--'],
  ['directory', 0o1777, 'drwxrwxrwt'],
  ['file', 0o7000, '---S--S--T'],
] as const)('a mode is shown as `ls -l` does: %s %s', ([type, mode, text]) => {
  expect(modeText({ type, mode })).toBe(text);
});
