import { property, assert, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';
import { percentDecodeBytes, percentEncodeBytes, queryBytes } from '../../src/kernel/percent-bytes.ts';

test('all bytes come back', () => {
  assert(
    property(uint8Array({ maxLength: 200 }), (bytes) => {
      const encoded = percentEncodeBytes(bytes);
      expect(encoded).toMatch(/^[A-Za-z0-9._~/%-]*$/);
      expect(percentDecodeBytes(encoded)).toEqual(bytes);
      expect(queryBytes(`a=1&path=${encoded}&path=x`, 'path')).toEqual(bytes);
    }),
  );
});

test('what is not well encoded is refused, what is not encoded is taken', () => {
  for (const text of ['%', '%1', '%zz', 'a%2']) expect(percentDecodeBytes(text)).toBeUndefined();
  expect(percentDecodeBytes('é+')).toEqual(new TextEncoder().encode('é+'));
  expect(queryBytes('a=1', 'path')).toBeUndefined();
});
