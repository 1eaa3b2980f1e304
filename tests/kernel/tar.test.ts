import { array, assert, asyncProperty, constantFrom, nat, record, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';
import { ByteSource } from '../../src/kernel/byte-source.ts';
import { readTarEntry, skipTarPadding } from '../../src/kernel/tar-decode.ts';
import { encodeTarHeader } from '../../src/kernel/tar-encode.ts';
import { tarEnd, tarPadding } from '../../src/kernel/tar-entry.ts';

const name = uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) =>
  Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x61 : byte))),
);
const entry = record({
  name,
  type: constantFrom('file', 'directory', 'symbolic-link'),
  mode: nat({ max: 0o777 }),
  modifiedAt: nat(),
  target: name,
  content: uint8Array({ maxLength: 2_000 }).map((bytes) => Buffer.from(bytes)),
});

async function* cut(bytes: Buffer, length: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

test('entries come back as they were, whatever their names and however the bytes are cut', async () => {
  await assert(
    asyncProperty(array(entry, { maxLength: 8 }), nat({ max: 999 }), async (entries, piece) => {
      const parts: Buffer[] = [];
      const expected = entries.map(({ content, type, target, ...about }) => ({
        ...about,
        type,
        size: type === 'file' ? content.length : 0,
        target: type === 'symbolic-link' ? target : null,
      }));
      for (const [at, { content }] of entries.entries()) {
        const given = expected[at];
        if (given === undefined) continue;
        parts.push(encodeTarHeader(given));
        if (given.type === 'file') parts.push(content, Buffer.alloc(tarPadding(content.length)));
      }
      const source = new ByteSource(cut(Buffer.concat([...parts, tarEnd]), piece + 1));
      for (const [at, { content }] of entries.entries()) {
        const read = await readTarEntry(source);
        expect(read).toEqual(expected[at]);
        if (read?.type !== 'file') continue;
        expect(await source.take(read.size)).toEqual(content);
        await skipTarPadding(source, read.size);
      }
      expect(await readTarEntry(source)).toBeUndefined();
    }),
    { numRuns: 60 },
  );
});

test('bytes that are no archive are refused, not believed', async () => {
  await assert(
    asyncProperty(uint8Array({ minLength: 1, maxLength: 2_000 }), async (bytes) => {
      if (bytes.slice(0, 512).every((byte) => byte === 0)) return;
      const source = new ByteSource(cut(Buffer.from(bytes), 100));
      await expect(readTarEntry(source)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    }),
  );
});
