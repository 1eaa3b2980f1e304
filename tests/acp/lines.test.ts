import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineReader, LineTooLongError } from '../../src/acp/lines.ts';

async function* inPieces(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let start = 0;
  for (const size of sizes) {
    if (start >= bytes.length) break;
    yield bytes.subarray(start, start + size);
    start += size;
  }
  if (start < bytes.length) yield bytes.subarray(start);
}

/** Reads to the end: what is there already without a wait, as the harness's output is read. */
async function collect(lines: LineReader, all: string[] = []): Promise<string[]> {
  for (;;) {
    const line = lines.ready() ?? (await lines.next());
    if (line === undefined) return all;
    all.push(line);
  }
}

test('lines come out the same however the bytes were cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: 'binary' }).map((line) => line.replaceAll('\n', ''))),
      fc.array(fc.integer({ min: 1, max: 7 })),
      async (lines, sizes) => {
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        const expected = bytes.toString('utf8').split('\n').slice(0, -1);
        expect(await collect(new LineReader(inPieces(bytes, sizes), 1_000))).toEqual(expected);
      },
    ),
  );
});

test('a last line without an end is a line', async () => {
  expect(await collect(new LineReader(inPieces(Buffer.from('a\nb'), [1]), 10))).toEqual(['a', 'b']);
});

test('a line over the limit ends the reading before it is held', async () => {
  const seen: string[] = [];
  const lines = new LineReader(inPieces(Buffer.from(`ok\n${'x'.repeat(100)}\n`), [3, 4, 4, 4]), 10);
  await expect(collect(lines, seen)).rejects.toBeInstanceOf(LineTooLongError);
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
  const lines = new LineReader(source(), 10);
  await lines.next();
  expect(await lines.next()).toBe('2');
  expect(lines.ready()).toBeUndefined();
  expect(taken).toBe(1);
  await lines.next();
  expect(taken).toBe(2);
  expect(lines.ready()).toBe('4');
});
