import { expect, test } from 'vitest';
import { diskFinding } from '../../../src/cli/doctor/disk-finding.ts';

test.for([
  [0, 'missing'],
  [5, 'note'],
  [10, 'ok'],
] as const)('the fullest disk decides: %s GiB on it are %s', ([gibibytes, state]) => {
  const finding = diskFinding([
    { freeBytes: 75 * 1024 ** 3, what: 'the one' },
    { freeBytes: gibibytes * 1024 ** 3, what: 'the other' },
  ]);
  expect(finding).toMatchObject({
    state,
    says: `75.0 GiB free for the one, ${gibibytes.toFixed(1)} GiB free for the other`,
  });
});
