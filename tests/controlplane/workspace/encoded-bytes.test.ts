import { expect, test } from 'vitest';
import { decodeBytes, encodeBytes } from '../../../src/controlplane/workspace/encoded-bytes.ts';

const decoded = (data: string): string => decodeBytes({ data, encoding: 'base64' }).toString();

test('base64 is taken with its padding and without', () => {
  expect(['', 'YQ==', 'YQ', 'YWI=', 'YWI', 'YWJj'].map(decoded)).toEqual(['', 'a', 'a', 'ab', 'ab', 'abc']);
});

test.each(['YQ=', 'YQ===', '=', 'YR==', 'Y', 'YQ==YQ==', 'YW\nI=', '_-8=', 'no base64!'])('%j is no base64', (data) => {
  expect(() => decoded(data)).toThrow('The data is not base64.');
});

test('what is no base64 is read once, however much padding is in the middle of it', () => {
  expect(() => decoded(`${'='.repeat(2 * 1024 * 1024 - 1)}x`)).toThrow('The data is not base64.'); // else it takes an hour
});

test('text without UTF-8 is refused, and bytes that are no text come as base64', () => {
  expect(() => decodeBytes({ data: '\uD800', encoding: 'utf8' })).toThrow('The text is not well-formed.');
  expect(encodeBytes(Buffer.from([0xff, 0xfe]))).toEqual({ data: '//4=', encoding: 'base64' });
  expect(encodeBytes(Buffer.from('\uFEFFé'))).toEqual({ data: '\uFEFFé', encoding: 'utf8' });
});
