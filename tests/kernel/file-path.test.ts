import { assert, property, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';
import { pathFromBytes, pathToBytes } from '../../src/kernel/file-path.ts';

test('every sequence of bytes survives the way through JSON', () => {
  assert(
    property(uint8Array({ maxLength: 64 }), (bytes) => {
      const path = JSON.parse(JSON.stringify(pathFromBytes(bytes))) as string;
      expect(pathToBytes(path)).toEqual(bytes);
    }),
  );
});

test('two different names never read alike', () => {
  assert(
    property(uint8Array({ maxLength: 6 }), uint8Array({ maxLength: 6 }), (one, other) => {
      expect(pathFromBytes(one) === pathFromBytes(other)).toBe(Buffer.from(one).equals(other));
    }),
  );
});

test('text that stands for no bytes is refused', () => {
  for (const path of ['\ud800', '\udc41', '\udc7f', '\ud83d', '\udcc3\udca9'])
    expect(pathToBytes(path)).toBeUndefined();
});

test('text is its own path, with a byte order mark, quotes and line breaks', () => {
  for (const path of ['/workspace/é\n"\'', '\ufeffa', '😀']) {
    expect(pathFromBytes(pathToBytes(path) ?? new Uint8Array())).toBe(path);
  }
});
