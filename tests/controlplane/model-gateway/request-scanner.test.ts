import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RequestScanner } from '../../../src/controlplane/model-gateway/request-scanner.ts';

const watched = ['model', 'stream', 'background'];

function scan(body: string | Buffer, pieces: readonly number[] = []): RequestScanner {
  const scanner = new RequestScanner(watched);
  let rest = Buffer.from(body);
  for (const length of pieces) {
    scanner.read(rest.subarray(0, length));
    rest = rest.subarray(length);
  }
  scanner.read(rest);
  return scanner;
}

test('of any JSON object it reads the same fields as JSON.parse, however the body is cut', () => {
  const body = fc
    .record(
      {
        model: fc.string(),
        stream: fc.oneof(fc.boolean(), fc.constant(null)),
        input: fc.jsonValue(),
        'an "escaped\\" name': fc.string({ unit: 'binary' }),
        long: fc.string({ unit: fc.constantFrom('"', '\\', '\n', 'a'.repeat(30)), maxLength: 60 }),
        deep: fc.record({ model: fc.string(), other: fc.array(fc.jsonValue()) }),
      },
      { requiredKeys: [] },
    )
    .map((value) => ({ value, text: JSON.stringify(value) }));
  fc.assert(
    fc.property(body, fc.array(fc.integer({ min: 0, max: 20 })), ({ value, text }, pieces) => {
      const scanner = scan(text, pieces);
      expect(scanner.problem).toBeNull();
      expect(scanner.isWhole).toBe(true);
      for (const name of ['model', 'stream'] as const) {
        const field = scanner.fields.get(name);
        expect(field?.value).toEqual(value[name]);
        if (field === undefined) continue;
        const bytes = Buffer.from(text).subarray(field.start, field.end);
        expect(JSON.parse(bytes.toString())).toEqual(value[name]);
      }
    }),
  );
});

test('a value that is too long to be kept is not told', () => {
  const scanner = scan(JSON.stringify({ model: 'x'.repeat(2_000) }));
  expect(scanner.problem).toBeNull();
  expect(scanner.fields.get('model')?.value).toBeUndefined();
});

test('the model is known as soon as its field is over', () => {
  const scanner = new RequestScanner(watched);
  scanner.read(Buffer.from('{"input":[{"model":"no"}],"model":"gpt'));
  expect(scanner.fields.has('model')).toBe(false);
  scanner.read(Buffer.from('-5.5",'));
  expect(scanner.fields.get('model')?.value).toBe('gpt-5.5');
  expect(scanner.isWhole).toBe(false);
});

describe('what could be read in two ways is refused', () => {
  test.each([
    ['the field twice', '{"model":"a","model":"b"}'],
    ['the field twice, once in escapes', '{"model":"a","mod\\u0065l":"b"}'],
    ['the field in other letters', '{"Model":"a"}'],
    ['the field in letters that fold to it', '{"ſtream":true,"model":"a"}'],
    ['a comment', '{"model":"a" /* "x": */}'],
    ['a comment with a quote, in a nested value', '{"a":[1 /* " */ ],"model":"a"}'],
    ['single quotes', '{\'model\':\'b\',"model":"a"}'],
    ['a byte order mark', '\uFEFF{"model":"a"}'],
    ['a second object behind the first', '{"model":"a"}{"model":"b"}'],
    ['an array', '[{"model":"a"}]'],
    ['a string', '"model"'],
    ['a field without quotes', '{model:"a"}'],
    ['a comma before the end', '{"model":"a",}'],
    ['no comma between fields', '{"model":"a" "model":"b"}'],
    ['a number that JSON does not have', '{"model":NaN}'],
    ['an unfinished escape', '{"mod\\x":1}'],
  ])('%s', (_, body) => {
    expect(scan(body).problem, body).not.toBeNull();
  });
});

test.each(['', '{', '{"model', '{"model":"a', '{"model":"a"', '{"model":"a\\"', '{"a":[{"b":"}'])(
  'a body that ends early is not whole: %s',
  (body) => expect(scan(body).isWhole).toBe(false),
);
