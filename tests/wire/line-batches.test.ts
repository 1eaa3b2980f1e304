import { Readable } from 'node:stream';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { lineBatches } from '../../src/wire/line-batches.ts';

const wide = { maxLines: 1_000, maxBatchBytes: 1_000_000 };

const collect = async (stream: Readable, maxLineBytes: number): Promise<string[]> => {
  const lines: string[] = [];
  for await (const batch of lineBatches(stream, { ...wide, maxLineBytes })) lines.push(...batch);
  return lines;
};

test('lines come out whole and in order, however the bytes were cut', async () => {
  const line = fc.string({ unit: 'binary', maxLength: 40 }).filter((text) => !text.includes('\n'));
  await fc.assert(
    fc.asyncProperty(fc.array(line), fc.array(fc.integer({ min: 1, max: 25 })), async (lines, cuts) => {
      const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
      const chunks: Buffer[] = [];
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const size = cuts.length === 0 ? bytes.length : (cuts[i % cuts.length] ?? 1);
        chunks.push(bytes.subarray(at, at + size));
        at += size;
      }
      expect(await collect(Readable.from(chunks), 1_000)).toEqual(lines);
    }),
  );
});

test('all lines that have arrived come as one batch', async () => {
  const batches: (readonly string[])[] = [];
  for await (const batch of lineBatches(Readable.from([Buffer.from('a\nb\nc'), Buffer.from('d\n')]), {
    ...wide,
    maxLineBytes: 10,
  })) {
    batches.push(batch);
  }
  expect(batches).toEqual([['a', 'b'], ['cd']]);
});

test('a line above the bound is refused, whether it ends or not', async () => {
  const long = (end: string) => Readable.from([Buffer.from('x'.repeat(6)), Buffer.from(`${'x'.repeat(6)}${end}`)]);
  await expect(collect(long(''), 10)).rejects.toMatchObject({ code: 'GUEST_PROTOCOL' });
  await expect(collect(long('\nab\n'), 10)).rejects.toMatchObject({ code: 'GUEST_PROTOCOL' });
  await expect(collect(long('\nab\n'), 12)).resolves.toEqual(['x'.repeat(12), 'ab']);
});

test('a batch holds no more lines and bytes than it may, and a longer line stands alone', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 60 }),
      fc.integer({ min: 1, max: 400 }),
      async (lengths, cut) => {
        const bytes = Buffer.from(lengths.map((length) => `${'x'.repeat(length)}\n`).join(''));
        const chunks = Array.from({ length: Math.ceil(bytes.length / cut) }, (_, i) =>
          bytes.subarray(i * cut, (i + 1) * cut),
        );
        const seen: number[] = [];
        for await (const batch of lineBatches(Readable.from(chunks), {
          maxLineBytes: 30,
          maxLines: 4,
          maxBatchBytes: 20,
        })) {
          expect(batch.length).toBeLessThanOrEqual(4);
          if (batch.length > 1) expect(batch.join('').length).toBeLessThanOrEqual(20);
          seen.push(...batch.map((line) => line.length));
        }
        expect(seen).toEqual(lengths);
      },
    ),
  );
});
