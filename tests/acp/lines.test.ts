import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineTooLongError, readLines } from '../../src/acp/lines.ts';

async function* inPieces(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let start = 0;
  for (const size of sizes) {
    if (start >= bytes.length) break;
    yield bytes.subarray(start, start + size);
    start += size;
  }
  if (start < bytes.length) yield bytes.subarray(start);
}

async function collect(lines: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

test('lines come out the same however the bytes were cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: 'binary' }).map((line) => line.replaceAll('\n', ''))),
      fc.array(fc.integer({ min: 1, max: 7 })),
      async (lines, sizes) => {
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        const expected = bytes.toString('utf8').split('\n').slice(0, -1);
        expect(await collect(readLines(inPieces(bytes, sizes), 1_000))).toEqual(expected);
      },
    ),
  );
});

test('a last line without an end is a line', async () => {
  expect(await collect(readLines(inPieces(Buffer.from('a\nb'), [1]), 10))).toEqual(['a', 'b']);
});

test('a line over the limit ends the reading before it is held', async () => {
  const seen: string[] = [];
  const read = async (): Promise<void> => {
    for await (const line of readLines(inPieces(Buffer.from(`ok\n${'x'.repeat(100)}\n`), [3, 4, 4, 4]), 10))
      seen.push(line);
  };
  await expect(read()).rejects.toBeInstanceOf(LineTooLongError);
  expect(seen).toEqual(['ok']);
});

test('no chunk is taken before the lines of the last are used up', async () => {
  let taken = 0;
  const source = async function* (): AsyncGenerator<Uint8Array> {
    for (const text of ['1\n2\n', '3\n4\n']) {
      taken += 1;
      yield Buffer.from(text);
    }
  };
  const lines = readLines(source(), 10);
  await lines.next();
  await lines.next();
  expect(taken).toBe(1);
  await lines.next();
  expect(taken).toBe(2);
});
