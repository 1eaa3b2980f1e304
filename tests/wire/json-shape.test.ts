import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { deepestJson, isBoundedJson, mostJsonValues } from '../../src/wire/contract/json-value.ts';
import { hasJsonShape } from '../../src/wire/json-shape.ts';

function shapeOf(value: unknown): { values: number; depth: number } {
  if (typeof value !== 'object' || value === null) return { values: 1, depth: 0 };
  const items = Object.values(value).map(shapeOf);
  return {
    values: items.reduce((sum, { values }) => sum + values, 1),
    depth: 1 + Math.max(0, ...items.map(({ depth }) => depth)),
  };
}

test('the shape of a text of JSON is told without parsing it, whatever its strings hold', () => {
  const oddKeys = fc.dictionary(fc.constantFrom('"', '\\', '[{', ',', '\\"'), fc.jsonValue(), {
    noNullPrototype: true,
  });
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), oddKeys), fc.boolean(), (value, indented) => {
      const text = JSON.stringify(value, null, indented ? 2 : 0);
      const { values, depth } = shapeOf(value);
      expect(hasJsonShape(text, { marks: 2 * values, depth })).toBe(true);
      if (depth > 0) expect(hasJsonShape(text, { marks: Infinity, depth: depth - 1 })).toBe(false);
      if (values > 1) expect(hasJsonShape(text, { marks: values - 2, depth: Infinity })).toBe(false);
    }),
    { numRuns: 500 },
  );
});

test('text that is no JSON has some shape or other', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(hasJsonShape(text, { marks: 10, depth: 10 })).toBeTypeOf('boolean');
    }),
  );
  expect(hasJsonShape('"\\', { marks: 0, depth: 0 })).toBe(true);
});

test('opaque JSON is bounded in depth and in values, and no depth exhausts the stack', () => {
  const nested = (depth: number): unknown => JSON.parse('['.repeat(depth) + ']'.repeat(depth));
  expect([deepestJson, deepestJson + 1, 1_000_000].map((depth) => isBoundedJson(nested(depth)))).toEqual([
    true,
    false,
    false,
  ]);
  const many = (count: number): unknown => Array.from({ length: count }, () => null);
  expect([mostJsonValues - 1, mostJsonValues].map((count) => isBoundedJson(many(count)))).toEqual([true, false]);
  expect([undefined, 1n, { a: undefined }].map(isBoundedJson)).toEqual([false, false, false]);
  fc.assert(fc.property(fc.jsonValue(), (value) => isBoundedJson(value)));
});
