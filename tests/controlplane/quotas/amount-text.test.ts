import { expect, test } from 'vitest';
import { amountText, AmountRefused, readLimit } from '../../../src/controlplane/quotas/amount-text.ts';
import { byteSize } from '../../../src/kernel/byte-size.ts';

test.each([
  ['tokens=5m', 'tokens', 5_000_000],
  ['tokens = 12', 'tokens', 12],
  ['cost=12.50', 'cost', 12_500_000],
  ['cost=2k', 'cost', 2_000_000_000],
  ['memory=1.5g', 'memory', 1.5 * 1_024 ** 3],
  ['cpu=0.5', 'cpu', 0.5],
  ['agents=0', 'agents', 0],
  ['egress_bytes=none', 'egress_bytes', null],
])('%s', (text, dimension, amount) => {
  expect(readLimit(text)).toEqual([dimension, amount]);
});

test.each([
  '',
  'tokens',
  'tokens=',
  'tokens=-1',
  'tokens=1e9',
  'fame=1',
  'memory=2q',
  'cost=$5',
  'tokens=999999999999t',
])('%j is refused with what is allowed', (text) => {
  expect(() => readLimit(text)).toThrow(AmountRefused);
});

test('amounts are shown in the units in which they are given', () => {
  expect(amountText('cost', 12_345_678, byteSize)).toBe('$12.35');
  expect([0, 100, 9_999, 10_000].map((micros) => amountText('cost', micros, byteSize))).toEqual([
    '$0.00',
    '$0.0001',
    '$0.009999',
    '$0.01',
  ]);
  expect(amountText('memory', 2 * 1_024 ** 3, byteSize)).toBe('2.0 GiB');
  expect(amountText('cpu', 0.30000000000000004, byteSize)).toBe('0.3');
});
