import { array, assert, asyncProperty, constantFrom, nat, record, uint8Array } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteSource } from '../../src/kernel/byte-source.ts';
import { readTarEntry, skipTarPadding } from '../../src/kernel/tar-decode.ts';
import { encodeTarHeader } from '../../src/kernel/tar-encode.ts';
import { type TarEntry, tarEnd, tarPadding } from '../../src/kernel/tar-entry.ts';

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

const first = (bytes: Buffer, piece = bytes.length): Promise<TarEntry | undefined> =>
  readTarEntry(new ByteSource(cut(bytes, piece)));

/** The header of a file called `name` with 5 bytes, changed, and with the sum that it then has. */
function header(change: (bytes: Buffer) => unknown): Buffer {
  const bytes = encodeTarHeader({
    name: Buffer.from('name'),
    type: 'file',
    mode: 0o644,
    modifiedAt: 7,
    size: 5,
    target: null,
  });
  change(bytes);
  bytes.fill(' ', 148, 156);
  const sum = bytes.reduce((all, byte) => all + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0`, 148);
  return bytes;
}

describe('headers of other programs', () => {
  test('numbers may have blanks around them', async () => {
    const bytes = header((block) => block.write('        5  \0', 124));
    expect(await first(bytes)).toMatchObject({ size: 5 });
  });

  test('a long name may be in two parts', async () => {
    const bytes = header((block) => block.write('above/it', 345));
    expect(await first(bytes)).toMatchObject({ name: Buffer.from('above/it/name') });
  });

  test('a file whose name ends with a slash is a folder', async () => {
    const bytes = header((block) => block.write('name/', 0));
    expect(await first(bytes)).toMatchObject({ type: 'directory', name: Buffer.from('name'), size: 0 });
  });

  test('one that was changed behind its sum is refused', async () => {
    const bytes = header(() => undefined);
    bytes.write('game', 0);
    await expect(first(bytes)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  });
});

describe('records before an entry', () => {
  const record = (flag: string, content: Buffer): Buffer =>
    Buffer.concat([
      header(
        (block) => block.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124) && block.write(flag, 156),
      ),
      content,
      Buffer.alloc(tarPadding(content.length)),
    ]);
  const pax = (key: string, value: string): Buffer => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`);
    let length = rest + 1;
    while (String(length).length + rest !== length) length += 1;
    return Buffer.from(`${length} ${key}=${value}\n`);
  };
  const entry = header(() => undefined);
  const saying = (key: string, value: string): Buffer => Buffer.concat([record('x', pax(key, value)), entry]);

  test.each(['x', 'g', 'L', 'K'])('may be 1 MiB together, not more (%s)', async (flag) => {
    const half = record(flag, pax('comment', 'x'.repeat(512 * 1024 - 17)));
    expect(await first(Buffer.concat([half, half, entry]))).toBeDefined();
    const more = Buffer.concat([half, half, record('x', pax('mtime', '9')), entry]);
    await expect(first(more)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  });

  test('are counted for each entry anew', async () => {
    const large = record('x', pax('comment', 'x'.repeat(1_000_000)));
    const empty = header((block) => block.write('0', 134));
    const source = new ByteSource(cut(Buffer.concat([large, empty, large, empty, tarEnd]), 100_000));
    for (const size of [0, 0]) expect(await readTarEntry(source)).toMatchObject({ size });
    expect(await readTarEntry(source)).toBeUndefined();
  });

  test('are not held by what was taken from them', async () => {
    const path = pax('path', 'long'.repeat(50));
    const bytes = Buffer.concat([record('x', Buffer.concat([path, pax('comment', 'x'.repeat(1_000_000))])), entry]);
    const read = await first(bytes);
    expect(read?.name.toString()).toBe('long'.repeat(50));
    expect(read?.name.buffer.byteLength).toBeLessThan(100_000);
  });

  test.each(['0x10', '1e3', '', '-1', '+5', ' 5', '5.0', '9007199254740992'])(
    'a size is digits, not %j',
    async (size) => {
      await expect(first(saying('size', size))).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    },
  );

  test.each([
    ['8', 8],
    ['8.25', 8.25],
    ['-8.25', -8.25],
  ])('a time may have a fraction and a sign: %s', async (written, modifiedAt) => {
    expect(await first(saying('mtime', written))).toMatchObject({ modifiedAt });
  });

  test.each(['0x10', '1e3', '', 'now'])('a time is no %j', async (time) => {
    await expect(first(saying('mtime', time))).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  });

  test('what ends at its own equals sign is damaged', async () => {
    await expect(first(Buffer.concat([record('x', Buffer.from('7 path=x\n')), entry]))).rejects.toMatchObject({
      code: 'BAD_REQUEST',
    });
  });
});
